"""Images that a table lists: their files, wherever its paths are meant from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from benchmark.data.intake.folders import folders_in
from benchmark.data.intake.images import SPLIT_WORDS, Intake, Taken, with_splits
from benchmark.data.intake.tables import Columns, Table
from benchmark.errors import DataError, ManyFaults, printable
from benchmark.layouts.listing import IMAGE_SUFFIXES, inside

_LOOKED_FOR = 20  # images of a table, to know the folder that its paths are meant from


@dataclass(frozen=True)
class _Row:
    """A line of a table.

    Attributes:
        line: its number in the file.
        path: as it is written.
        label, split: as they are written.
    """

    line: int
    path: str
    label: str
    split: str


def read_listed(table: Table, columns: Columns, folder: Path | None = None) -> Intake:
    """The images of a table.

    Args:
        table: as it is written.
        columns: which one is what.
        folder: that its paths are meant from; None stands for the table's own, or for the one that
            all images lie in where all paths are absolute.

    Raises:
        DataError: the images share no folder, or there are none for training.
        ManyFaults: lines name no image below the folder, two classes of one image, or no split; all
            of them.
    """
    rows = _rows(table, columns)
    root = folder or _folder_of(rows, table)
    first: dict[str, _Row] = {}
    faults = []
    for row in rows:
        try:
            known = first.setdefault(_below(root, row), row)
        except DataError:
            faults.append(f"line {row.line}: '{printable(row.path)}' leads out of the folder")
            continue
        if (known.label, known.split) != (row.label, row.split):
            faults.append(
                f"line {row.line}: '{printable(row.path)}' has another class or split in line "
                f"{known.line}"
            )
    if faults:
        raise ManyFaults(
            f"{table.path}: {len(faults):,} of {len(rows):,} lines cannot be used:",
            faults,
            f"Correct them; paths are meant from {root}, which --images changes.",
        )
    notes = [_told(table, columns)]
    if root != table.path.parent:
        notes.append(f"its paths are meant from {root}")
    if double := len(rows) - len(first):
        notes.append(f"lines that repeat another are left out: {double:,}")
    images = [Taken(path, row.label) for path, row in first.items()]
    words = [row.split for row in first.values()] if columns.split else _words_of_paths(images)
    used, more = with_splits(images, words, str(table.path)) if words else (tuple(images), ())
    return Intake(root, used, (*notes, *more))


def together(intakes: Sequence[tuple[str, Intake]], folder: Path) -> Intake:
    """Images of several tables, each of which lies in a folder that is called like a split.

    Args:
        intakes: of each folder, with its name; their images have no split of their own.
        folder: that all of them lie in.

    Raises:
        DataError: there are no training images.
    """
    images, words = [], []
    for word, intake in intakes:
        below = intake.folder.relative_to(folder)
        images += [replace(one, path=(below / one.path).as_posix()) for one in intake.images]
        words += [word] * len(intake.images)
    used, notes = with_splits(images, words, str(folder))
    told = dict.fromkeys(note for _, intake in intakes for note in intake.notes)
    return Intake(folder, used, (*told, *notes))


def _rows(table: Table, columns: Columns) -> list[_Row]:
    """The lines of a table, in which nothing that is needed is empty."""
    parts = [table.column(name) for name in (columns.path, columns.label, columns.split) if name]
    faults, rows = [], []
    for line, *values in zip(table.lines, *parts, strict=True):
        path, label, split = (*values, "")[:3]
        if not all(values):
            faults.append(f"line {line}: path, class or split is empty")
        elif split and split.lower() not in SPLIT_WORDS:
            faults.append(f"line {line}: the split is '{printable(split)}'")
        rows.append(_Row(line, path, label, split))
    if faults:
        raise ManyFaults(
            f"{table.path}: {len(faults):,} of {len(rows):,} lines cannot be used:",
            faults,
            f"A split is one of {', '.join(SPLIT_WORDS)}; --split-column says in which column.",
        )
    return rows


def _folder_of(rows: Sequence[_Row], table: Table) -> Path:
    """Where the paths of a table are meant from."""
    if not all(os.path.isabs(row.path) for row in rows):
        return _holding(Path(os.path.abspath(table.path.parent)), rows[:_LOOKED_FOR])
    folder = Path(os.path.commonpath([os.path.dirname(row.path) for row in rows]))
    if folder == Path(folder.anchor):
        raise DataError(
            f"the images of {table.path} share no folder but {folder}. Copy or link them into one."
        )
    return folder


def _holding(folder: Path, rows: Sequence[_Row]) -> Path:
    """A folder, or the one folder in it that holds the first images if itself holds none of them.

    Many tables stand beside the folder of their images, and name these without it.
    """

    def held(root: Path) -> Iterator[bool]:
        for row in rows:
            with contextlib.suppress(DataError):
                yield (root / _below(root, row)).is_file()

    if any(held(folder)):
        return folder
    holding = [inner for inner in folders_in(folder) if all(held(inner))]
    return holding[0] if len(holding) == 1 else folder


def _below(root: Path, row: _Row) -> str:
    """The path of an image below the folder of all images.

    Raises:
        DataError: it lies elsewhere.
    """
    written = row.path.replace("\\", "/")
    if os.path.isabs(written):
        # A folder may be called by a link to it, and may hold links that lead out.
        real = os.path.join(os.path.realpath(os.path.dirname(written)), os.path.basename(written))
        tried = ((one, to) for one in (written, real) for to in (root, os.path.realpath(root)))
        written = next(
            (os.path.relpath(one, to) for one, to in tried if _lies_in(one, to)), written
        )
    path = inside(root, written, f"line {row.line}")
    if path.suffix.lower() not in IMAGE_SUFFIXES:  # many tables name images without their ending
        endings = (path.with_name(path.name + suffix) for suffix in sorted(IMAGE_SUFFIXES))
        path = next((one for one in endings if one.is_file()), path)
    return path.relative_to(root).as_posix()


def _lies_in(path: str, folder: str | Path) -> bool:
    return ".." not in path.split("/") and PurePosixPath(path).is_relative_to(folder)


def _words_of_paths(images: Sequence[Taken]) -> list[str]:
    """The first folder of every path, if all are called like splits; else nothing."""
    words = [PurePosixPath(image.path).parts[0] for image in images]
    return words if all(word.lower() in SPLIT_WORDS for word in words) else []


def _told(table: Table, columns: Columns) -> str:
    split = f", splits from '{columns.split}'" if columns.split else ""
    return (
        f"{table.path.name}: paths are taken from '{printable(columns.path)}', classes from "
        f"'{printable(columns.label)}'{split}"
    )
