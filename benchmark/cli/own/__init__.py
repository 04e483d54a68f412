"""The commands for what a user brings: recipes and data sets."""
