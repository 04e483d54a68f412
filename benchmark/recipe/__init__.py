"""The contract of a recipe, its registration, and how recipes are found."""
