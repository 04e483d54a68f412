"""Where recipes and data set cards come from, and how recipe files are imported.

Folders are searched in this order: the built-in ones, every ``--path`` folder, every folder in the
environment variable ``KDBENCH_PATH``; recipes also come from installed packages through the entry
point group ``kdbench.recipes``. Recipe files are imported by path as modules of one private
package whose ``__path__`` is the list of folders, so that ``from .crd import ContrastiveLoss``
works between recipes of all folders. Where two folders hold a file of one name, that import finds
the first.

Importing recipes imports torch, which takes seconds. ``describe_recipes`` therefore answers from an
index in the cache as long as no recipe file has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import tempfile
import traceback
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.errors import RecipeError
from benchmark.folders import search_folders
from benchmark.recipe.description import RecipeDescription, describe_recipe
from benchmark.registry import Catalogue

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo

PACKAGE = "benchmark_recipes"
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
    folders = search_folders("recipes", extra_paths)
    files = _recipe_files(folders)
    _open_package(folders)
    catalogue = Catalogue["RecipeInfo"]("recipe", HINT, error=RecipeError, broken=BROKEN)
    modules: dict[Path, types.ModuleType] = {}
    for path in files:
        with _noting_errors(path, catalogue.broken):
            modules[path] = _import_file(path, folders)
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        origin = Path(f"{ENTRY_POINTS}/{entry_point.name}")
        with _noting_errors(origin, catalogue.broken):
            module = importlib.import_module(entry_point.module)
            modules[Path(module.__file__ or origin)] = module
    for path, module in modules.items():
        _add_all(catalogue, module, path)
    return catalogue


def describe_recipes(extra_paths: Sequence[str | Path], cache_dir: Path) -> list[RecipeDescription]:
    """Describe all recipes, broken files last; imports nothing while the index is up to date.

    Args:
        extra_paths: folders given by ``--path``.
        cache_dir: where the index is kept; one that cannot be written costs only time.

    Raises:
        RecipeError: two recipes have one name.
        UsageError: a given folder does not exist.
    """
    index = cache_dir / f"recipes-{_index_key(search_folders('recipes', extra_paths))}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        return [RecipeDescription(**entry) for entry in json.loads(index.read_text("utf-8"))]
    descriptions = _describe(load_recipes(extra_paths))
    with contextlib.suppress(OSError):
        _write_atomically(index, json.dumps([asdict(entry) for entry in descriptions], indent=1))
    return descriptions


def _recipe_files(folders: Iterable[Path]) -> list[Path]:
    """Python files by folder and name; those that begin with an underscore are no recipes."""
    return [
        path
        for folder in folders
        for path in sorted(folder.glob("*.py"))
        if not path.name.startswith("_")
    ]


def _open_package(folders: list[Path]) -> None:
    """Make the private package look into these folders, and forget modules from other ones."""
    package = sys.modules.setdefault(PACKAGE, types.ModuleType(PACKAGE))
    package.__path__ = [str(folder) for folder in folders]
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{PACKAGE}.") and module.__file__:
            path = Path(module.__file__)
            if path.parent not in folders or name != _module_name(path, folders):
                del sys.modules[name]


def _module_name(path: Path, folders: list[Path]) -> str:
    """``benchmark_recipes.STEM`` for the file that a relative import finds, else a name apart."""
    name = f"{PACKAGE}.{path.stem}"
    first = next(folder / path.name for folder in folders if (folder / path.name).exists())
    return name if path == first else f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _import_file(path: Path, folders: list[Path]) -> types.ModuleType:
    """The module of a file, imported once a process."""
    name = _module_name(path, folders)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


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
        broken[path] = _one_line(error, path)


def _one_line(error: BaseException, path: Path) -> str:
    """Kind, message and the line of the file where it happened."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}{where}"


def _index_key(folders: Iterable[Path]) -> str:
    """Changes with every file that a description could depend on, and with what describes it."""
    package = Path(benchmark.__file__).parent
    digest = hashlib.sha256(f"{benchmark.__version__} {platform.python_version()}".encode())
    engine = [package / "recipe" / "contract.py", package / "recipe" / "description.py"]
    for path in [*engine, *(path for folder in folders for path in sorted(folder.glob("*.py")))]:
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        version = entry_point.dist.version if entry_point.dist else ""
        digest.update(f"{entry_point.name}={entry_point.value}@{version}\0".encode())
    return digest.hexdigest()[:32]


def _describe(catalogue: Catalogue[RecipeInfo]) -> list[RecipeDescription]:
    recipes = [describe_recipe(info) for info in catalogue.values()]
    return recipes + [
        RecipeDescription(name=path.stem.replace("_", "-"), path=str(path), error=error)
        for path, error in catalogue.broken.items()
    ]


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
