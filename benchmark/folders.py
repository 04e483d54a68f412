"""The folders in which recipes and data set cards are looked for, and that of the cache.

Folders are searched in this order: the built-in ones, every ``--path`` folder, every folder in the
environment variable ``KDBENCH_PATH``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from benchmark.errors import UsageError

Kind = Literal["recipes", "datasets"]
PACKAGE = Path(__file__).resolve().parent


def builtin_folder(kind: Kind) -> Path:
    """The folder that comes with kdbench: inside an installed wheel, else the repository's."""
    bundled = PACKAGE / "_bundled" / kind
    return bundled if bundled.is_dir() else PACKAGE.parent / kind


def search_folders(kind: Kind, extra_paths: Iterable[str | Path] = ()) -> list[Path]:
    """All folders that are searched for recipes or cards, in order, each once.

    Args:
        kind: ``recipes`` or ``datasets``.
        extra_paths: folders given by ``--path``. One with a subfolder of the kind's name stands
            for that subfolder.

    Raises:
        UsageError: one of the given folders does not exist.
    """
    given = given_folders(extra_paths)
    inside = [folder / kind if (folder / kind).is_dir() else folder for folder in given]
    return list(dict.fromkeys([builtin_folder(kind), *inside]))


def subfolders(name: str, extra_paths: Iterable[str | Path] = ()) -> list[Path]:
    """The subfolders of one name in the given folders; those that have none are passed over.

    Raises:
        UsageError: one of the given folders does not exist.
    """
    return [f / name for f in given_folders(extra_paths) if (f / name).is_dir()]


def given_folders(extra_paths: Iterable[str | Path]) -> list[Path]:
    """The folders that a user names, in order, each once: by ``--path``, then ``KDBENCH_PATH``.

    Raises:
        UsageError: one of them does not exist.
    """
    given = [("--path", str(path)) for path in extra_paths]
    from_environment = os.environ.get("KDBENCH_PATH", "").split(os.pathsep)
    given += [("KDBENCH_PATH", path) for path in from_environment if path]
    folders = []
    for source, text in given:
        folder = Path(text).expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(
                f"{source}: there is no folder '{text}'. Create it, e.g. with "
                f"'kdbench new recipe my-method --path {text}', or correct the path."
            )
        folders.append(folder)
    return list(dict.fromkeys(folders))


def cache_folder() -> Path:
    """Where drawn and decoded images and the indices of recipes and networks are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("KDBENCH_CACHE") or Path(base) / "kdbench").expanduser()
