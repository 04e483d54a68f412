"""What a recipe's author sees."""
