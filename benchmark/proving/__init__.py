"""What an author asks of a recipe: the laws of all recipes, and a minute beside known methods."""
