"""The layout of a table: a CSV file with the columns ``path``, ``label`` and ``split``.

Paths are relative to the file's folder. Labels are names, or numbers from 0 without gaps. The split
is ``train`` or ``test``. Further columns are ignored.
"""

from __future__ import annotations

import csv
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

_COLUMNS = ("path", "label", "split")


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images in the order of the table."""
    name = LAYOUT.option(options, "file")
    inside(places.roots[0], name, "the option file of the layout")
    table = places.need(name)
    rows = _rows(table)
    number_of = _numbers([row["label"] for row in rows], table)
    items: dict[SplitName, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
    seen: dict[Path, int] = {}
    for line, row in enumerate(rows, 2):
        place = f"{table}, line {line}"
        split = next((split for split in SPLITS if split == row["split"]), None)
        if split is None:
            raise DataError(f"{place}: the split is '{row['split']}'. Write train or test.")
        path = inside(table.parent, row["path"], place)
        if path in seen:
            raise DataError(
                f"{place}: {row['path']} is also in line {seen[path]}. An image has one label and "
                "one split: delete one of the lines."
            )
        seen[path] = line
        items[split].append((path, number_of[row["label"]]))
    return Listing(items, tuple(number_of))


def _rows(table: Path) -> list[dict[str, str]]:
    """The three columns of every line."""
    try:
        if table.stat().st_size > MOST_LIST_BYTES:
            raise ValueError(f"it is larger than {MOST_LIST_BYTES:,} bytes")
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if lacking := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise DataError(
                    f"{table} has no column {' and no column '.join(lacking)}; its first line is "
                    f"'{','.join(reader.fieldnames or ())}'. Write path,label,split there."
                )
            rows = [{name: (row[name] or "").strip() for name in _COLUMNS} for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{table} cannot be read: {error}. Save it as CSV in UTF-8.") from None
    for line, row in enumerate(rows, 2):
        if empty := [name for name in _COLUMNS if not row[name]]:
            raise DataError(f"{table}, line {line}: {' and '.join(empty)} is empty. Fill it in.")
    if not rows:
        raise DataError(f"{table} has no line below its first. Write one for every image.")
    return rows


def _numbers(labels: list[str], table: Path) -> dict[str, int]:
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
            f"{table}: the labels are {count} numbers from {numbers[0]} to {numbers[-1]}. {hint}"
        )
    return {label: int(label) for label in sorted(written, key=int)}  # also if it is written 007


LAYOUT = Layout(
    name="csv",
    about="a table labels.csv with path,label,split",
    marks=("labels.csv",),
    read=read,
    options={"file": ("labels.csv",)},
)
