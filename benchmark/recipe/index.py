"""The index of recipes: their descriptions, kept in the cache.

Importing recipes imports torch, which takes seconds. The index answers for them as long as no
recipe file has changed, nor what describes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import benchmark
from benchmark.files import write_whole
from benchmark.folders import search_folders
from benchmark.recipe.description import RecipeDescription, describe_recipe
from benchmark.recipe.discovery import ENTRY_POINTS, load_recipes


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
        seal, _, text = index.read_text("utf-8").partition("\n")
        if seal == _seal(text):
            return [RecipeDescription(**entry) for entry in json.loads(text)]
    descriptions = _described(extra_paths)
    with contextlib.suppress(OSError):
        text = json.dumps([asdict(entry) for entry in descriptions], indent=1)
        write_whole(index, f"{_seal(text)}\n{text}", durable=False)
    return descriptions


def _seal(text: str) -> str:
    """Tells damage from descriptions."""
    return hashlib.sha256(text.encode()).hexdigest()


def _described(extra_paths: Sequence[str | Path]) -> list[RecipeDescription]:
    catalogue = load_recipes(extra_paths)
    recipes = [describe_recipe(info) for info in catalogue.values()]
    return recipes + [
        RecipeDescription(name=path.stem.replace("_", "-"), path=str(path), error=error)
        for path, error in catalogue.broken.items()
    ]


def _index_key(folders: Iterable[Path]) -> str:
    """Changes with every file that a description could depend on, and with what describes it."""
    package = Path(benchmark.__file__).parent
    digest = hashlib.sha256(f"{benchmark.__version__} {platform.python_version()}".encode())
    engine = sorted((package / "recipe").glob("*.py"))
    for path in [*engine, *(path for folder in folders for path in sorted(folder.glob("*.py")))]:
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        version = entry_point.dist.version if entry_point.dist else ""
        digest.update(f"{entry_point.name}={entry_point.value}@{version}\0".encode())
    return digest.hexdigest()[:32]
