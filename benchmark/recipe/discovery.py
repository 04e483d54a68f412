"""Which recipes there are.

The files in the recipe folders (see ``benchmark.folders``), and those that installed packages bring
through the entry point group ``kdbench.recipes``. A file that cannot be imported stops no other.

Importing recipes imports torch, which takes seconds; ``benchmark.recipe.index`` describes them
without.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import RecipeError
from benchmark.folders import given_folders, search_folders
from benchmark.recipe.modules import RecipeModules, told
from benchmark.registry import Catalogue

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo

ENTRY_POINTS = "kdbench.recipes"
HINT = (
    "Recipes are the files in recipes/ and in folders given by --path; "
    "'kdbench list recipes' shows them."
)
BROKEN = "recipe '{name}' could not be imported:\n{path}: {error}"


def load_recipes(extra_paths: Iterable[str | Path] = ()) -> Catalogue[RecipeInfo]:
    """Import every recipe that is to be found.

    Raises:
        RecipeError: two recipes have one name.
        UsageError: a given folder does not exist.
    """
    return _load(
        search_folders("recipes", extra_paths), importlib.metadata.entry_points(group=ENTRY_POINTS)
    )


def recipes_in(folder: Path) -> Catalogue[RecipeInfo]:
    """Import the recipes of one folder alone, say of an older version of this one.

    Modules of recipes that were imported before are forgotten; their classes work as before.

    Raises:
        RecipeError: two recipes have one name.
        UsageError: the folder does not exist.
    """
    return _load(given_folders([folder]), [])


def _load(
    folders: list[Path], entry_points: Iterable[importlib.metadata.EntryPoint]
) -> Catalogue[RecipeInfo]:
    importer = RecipeModules(folders)
    catalogue = Catalogue["RecipeInfo"]("recipe", HINT, error=RecipeError, broken=BROKEN)
    modules: dict[Path, types.ModuleType] = {}
    for path in _recipe_files(folders):
        with _noting_errors(path, catalogue.broken):
            modules[path] = importer.load(path)
    for entry_point in entry_points:
        origin = Path(f"{ENTRY_POINTS}/{entry_point.name}")
        with _noting_errors(origin, catalogue.broken):
            module = importlib.import_module(entry_point.module)
            modules[Path(module.__file__ or origin)] = module
    for path, module in modules.items():
        _add_all(catalogue, module, path)
    return catalogue


def _recipe_files(folders: Iterable[Path]) -> list[Path]:
    """Python files by folder and name; those that begin with an underscore are no recipes."""
    return [
        path
        for folder in folders
        for path in sorted(folder.glob("*.py"))
        if not path.name.startswith("_")
    ]


def _add_all(catalogue: Catalogue[RecipeInfo], module: types.ModuleType, path: Path) -> None:
    """Register the recipes that a module defines (not those that it imports)."""
    from benchmark.recipe.contract import Recipe  # imports torch

    infos = [
        value.info
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Recipe)
        and value.__module__ == module.__name__
        and "info" in vars(value)
    ]
    if not infos:
        catalogue.broken[path] = (
            "it registers no recipe. Decorate a class with @register, or let the file's name "
            "begin with an underscore if other recipes import it."
        )
    for info in infos:
        catalogue.add(info.name, info, path)


@contextlib.contextmanager
def _noting_errors(path: Path, broken: dict[Path, str]) -> Iterator[None]:
    """Note what an import raises, and go on."""
    try:
        yield
    except (Exception, SystemExit) as error:
        broken[path] = told(error, path)
