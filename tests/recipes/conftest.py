"""The recipe files as modules, and their published values."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest

from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.modules import PACKAGE


@pytest.fixture(scope="session")
def recipe_module() -> Callable[[str], ModuleType]:
    """The module of a file in recipes/ by the file's stem."""
    load_recipes()
    return lambda stem: importlib.import_module(f"{PACKAGE}.{stem}")
