"""A new recipe, which trains as it is."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.errors import UsageError
from benchmark.recipe.index import describe_recipes
from benchmark.templates.writing import fill, new_file


def write_recipe(name: str, folder: Path, cache_dir: Path) -> Path:
    """Write a recipe from the template.

    Args:
        name: lower case, words joined by hyphens.
        folder: made if it does not exist.
        cache_dir: of the index of recipes.

    Returns:
        The file.

    Raises:
        UsageError: the name cannot be a recipe's or is taken, or the file cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"'{name}' cannot be a recipe's name. "
            "Use lower case, words joined by hyphens: my-method."
        )
    known = [folder] if folder.is_dir() else []
    for recipe in describe_recipes(known, cache_dir):
        if recipe.name == name:
            raise UsageError(f"the recipe '{name}' exists: {recipe.path}. Choose another name.")
    file = new_file(folder, f"{name.replace('-', '_')}.py")
    words = [word.capitalize() for word in name.split("-")]
    fill("recipe.py.jinja", file, name=name, class_name="".join(words))
    return file
