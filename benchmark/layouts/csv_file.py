"""The layout of a table: a CSV file with the columns ``path``, ``label`` and ``split``.

Paths are relative to the file's folder, or to the folder of the images if the table lies beside the
card. Labels are names, or numbers from 0 without gaps. The split
is ``train`` or ``test``. Further columns are ignored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.errors import DataError
from benchmark.layouts.listing import (
    MOST_LIST_BYTES,
    Layout,
    Listing,
    Places,
    inside,
    is_number,
)
from benchmark.strict import read_text

COLUMNS = ("path", "label", "split")


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images in the order of the table."""
    if places.table is not None:
        return listed(_text(places.table), places.roots[0], str(places.table))
    name = LAYOUT.option(options, "file")
    inside(places.roots[0], name, "the option file of the layout")
    table = places.need(name)
    return listed(_text(table), table.parent, str(table))


def listed(text: str, folder: Path, place: str) -> Listing:
    """The images of a table.

    Args:
        text: of the table.
        folder: that its paths are meant from.
        place: names the table in messages.

    Raises:
        DataError: a line is not as it should be.
    """
    rows = _rows(text, place)
    number_of = _numbers([row["label"] for row in rows], place)
    items: dict[SplitName, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
    seen: dict[Path, int] = {}
    for line, row in enumerate(rows, 2):
        where = f"{place}, line {line}"
        split = next((split for split in SPLITS if split == row["split"]), None)
        if split is None:
            raise DataError(f"{where}: the split is '{row['split']}'. Write train or test.")
        path = inside(folder, row["path"], where)
        if path in seen:
            raise DataError(
                f"{where}: {row['path']} is also in line {seen[path]}. An image has one label and "
                "one split: delete one of the lines."
            )
        seen[path] = line
        items[split].append((path, number_of[row["label"]]))
    return Listing(items, tuple(number_of))


def has_columns(table: Path) -> bool:
    """Whether a table is one of this layout, by its first line.

    Raises:
        DataError: it cannot be read.
    """
    reader = csv.DictReader(io.StringIO(_text(table), newline=""))
    return set(COLUMNS) <= set(reader.fieldnames or ())


def _text(table: Path) -> str:
    try:
        return read_text(table, most_bytes=MOST_LIST_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{table} cannot be read: {error}. Save it as CSV in UTF-8.") from None


def _rows(text: str, place: str) -> list[dict[str, str]]:
    """The three columns of every line."""
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if lacking := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise DataError(
                f"{place} has no column {' and no column '.join(lacking)}; its first line is "
                f"'{','.join(reader.fieldnames or ())}'. Write path,label,split there."
            )
        rows = [{name: (row[name] or "").strip() for name in COLUMNS} for row in reader]
    except (ValueError, csv.Error) as error:
        raise DataError(f"{place} cannot be read: {error}. Save it as CSV in UTF-8.") from None
    for line, row in enumerate(rows, 2):
        if empty := [name for name in COLUMNS if not row[name]]:
            raise DataError(f"{place}, line {line}: {' and '.join(empty)} is empty. Fill it in.")
    if not rows:
        raise DataError(f"{place} has no line below its first. Write one for every image.")
    return rows


def _numbers(labels: list[str], place: str) -> dict[str, int]:
    """The number of every label as it is written, in the order of the numbers."""
    written = set(labels)
    if not all(map(is_number, written)):
        return {label: number for number, label in enumerate(sorted(written))}
    numbers = sorted(map(int, written))
    if numbers != list(range(len(written))):
        count = len(written)
        hint = f"Labels must be the numbers 0 to {count - 1}, without gaps, or names."
        if numbers == list(range(1, count + 1)):
            hint = "They seem to count from 1; subtract 1 from each, or write names instead."
        raise DataError(
            f"{place}: the labels are {count} numbers from {numbers[0]} to {numbers[-1]}. {hint}"
        )
    return {label: int(label) for label in sorted(written, key=int)}  # also if it is written 007


LAYOUT = Layout(
    name="csv",
    about="a table labels.csv with path,label,split",
    marks=("labels.csv",),
    read=read,
    options={"file": ("labels.csv",)},
)
