"""The formats of the leaderboard: a file each, here and in ``formats/`` of a folder of one's own.

A format is a file with ``FORMAT = Format(…)``. One that begins with an underscore is none; it may
hold what several share.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmark.errors import UsageError
from benchmark.folders import subfolders
from benchmark.registry import Catalogue
from benchmark.reports.board.comparison import Section
from benchmark.reports.board.tables import Board

HINT = (
    "Formats are md, csv, latex, json, and the files in formats/ of folders given by --path; "
    "see docs/add-a-report-format.md."
)
BROKEN = "the format '{name}' cannot be used:\n{path}: {error}"
BUILTIN = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Format:
    """One way to write the leaderboard.

    Attributes:
        name: the word after ``--format``.
        write: the text, ending in a newline, of a board and of what others report, by data set.
        output: the file that is written where ``--output`` names none; ``-`` prints it.
        shows_reported: whether it shows numbers of others; if not, ``write`` is given none.
    """

    name: str
    write: Callable[[Board, Sequence[Section]], str]
    output: str = "-"
    shows_reported: bool = False


def load_formats(extra_paths: Iterable[str | Path] = ()) -> Catalogue[Format]:
    """Import every format that is to be found; a broken file stops no other.

    Args:
        extra_paths: folders given by ``--path``; those in ``KDBENCH_PATH`` are searched as well.

    Raises:
        UsageError: two formats have one name, which names both files; or a given folder does not
            exist.
    """
    found = Catalogue[Format]("format", HINT, error=UsageError, broken=BROKEN)
    importlib.invalidate_caches()  # of folders that were read before a file was written to them
    for folder in (BUILTIN, *subfolders("formats", extra_paths)):
        package = __name__ if folder == BUILTIN else _package(folder)
        for path in sorted(folder.glob("[!._]*.py")):
            try:
                form = _format_of(importlib.import_module(f"{package}.{path.stem}"))
            except Exception as error:  # whatever a file of somebody else raises
                found.broken[path] = f"{type(error).__name__}: {error}"
            else:
                found.add(form.name, form, path)
    return found


def _package(folder: Path) -> str:
    """The name of a package that stands for a folder, so that its files may import each other."""
    name = f"kdbench_formats_{zlib.crc32(str(folder).encode()):08x}"
    if name not in sys.modules:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(folder)]
    return name


def _format_of(module: ModuleType) -> Format:
    form = getattr(module, "FORMAT", None)
    if not isinstance(form, Format):
        raise UsageError("there is no FORMAT = Format(…) in it")
    return form
