"""Tables that say the class of an image: CSV of any separator and columns, or JSON lines.

Nothing is taken for granted but a text in UTF-8: the separator is found out (or said), a first line
that holds a file name is no heading, and the columns are known by what they hold and are called.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.intake.images import SPLIT_WORDS
from benchmark.errors import DataError, ManyFaults, UnknownName, UsageError, first_line, printable
from benchmark.layouts.listing import IMAGE_SUFFIXES, MOST_LIST_BYTES
from benchmark.strict import read_text

SEPARATORS = ",;\t|"
PATHS = (
    "path", "file_name", "filename", "file", "filepath", "file_path", "image_path", "image_file",
    "image", "img_path", "img", "image_name", "name", "image_id", "id",
)  # fmt: skip
LABELS = (
    "label", "labels", "class", "class_name", "classname", "category", "category_name", "species",
    "breed", "variety", "target", "y", "label_id", "class_id", "category_id",
)  # fmt: skip
SPLITS = ("split", "set", "subset", "partition", "phase")
_CALLED = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
_SNIFFED = 1 << 13  # signs of a table from which its separator is found out
_ROWS_LOOKED_AT = 200  # to know what a column holds


@dataclass(frozen=True)
class Table:
    """A table as it is written.

    Attributes:
        path: of its file.
        columns: their names; numbers from 1 where it has no heading.
        rows: values by column, as text without spaces around it.
        lines: of the rows in the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> list[str]:
        """The values of a column."""
        number = self.columns.index(name)
        return [row[number] for row in self.rows]


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what.

    Attributes:
        path: of the images' files.
        label: of their classes.
        split: of their splits; None where there is none.
    """

    path: str
    label: str
    split: str | None


def find_columns(
    table: Table, path: str | None = None, label: str | None = None, split: str | None = None
) -> Columns:
    """Which column is what, as far as it was not said.

    Raises:
        UnknownName: there is no column of a name that was said.
        UsageError: path or label cannot be found out.
    """
    for name in filter(None, (path, label, split)):
        if name not in table.columns:
            hint = f"{table.path} has: {printable(', '.join(table.columns))}."
            raise UnknownName("column", name, table.columns, hint)
    path = path or _path_column(table)
    if path is None:
        raise UsageError(_unclear(table, "the path of an image", "--path-column"))
    rest = [name for name in table.columns if name not in (path, label)]
    split = split or next(
        (name for name in _called(rest, SPLITS) if _all_splits(table.column(name))), None
    )
    rest = [name for name in rest if name != split]
    label = label or next(iter(_called(rest, LABELS)), _only(rest, table))
    if label is None:
        raise UsageError(_unclear(table, "the class of an image", "--label-column"))
    return Columns(path, label, split)


def read_table(path: Path, separator: str | None = None) -> Table:
    """Read a table; of JSON lines, whose columns are the keys.

    Args:
        path: of a CSV file or one that ends in ``.jsonl``.
        separator: of columns; None finds it out.

    Raises:
        UsageError: the separator is none.
        DataError: it cannot be read, or has no rows.
        ManyFaults: lines have more or fewer values than the first; all of them.
    """
    separator = _CALLED.get(separator or "", separator)
    if separator is not None and (len(separator) != 1 or separator in '\r\n"'):
        raise UsageError(f"--separator '{separator}' is none: give one sign, or tab.")
    try:
        text = read_text(path, most_bytes=MOST_LIST_BYTES)
        read = _json_lines(text) if path.suffix == ".jsonl" else _csv(text, separator)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read: {printable(first_line(error))}. Save it as CSV in UTF-8."
        ) from None
    columns, found = read
    if not found:
        raise DataError(f"{path} has no line with an image. Write one for every image.")
    width = len(columns)
    if odd := [(line, len(row)) for line, row in found if len(row) != width]:
        raise ManyFaults(
            f"{path}: {len(odd):,} of {len(found):,} lines have not {width} values as the first:",
            [f"line {line} has {count}" for line, count in odd],
            "Put quotes around values that hold the separator, or say it with --separator.",
        )
    if len(set(columns)) < width:
        raise DataError(f"{path}: two columns have one name. Give each its own.")
    rows, lines = tuple(row for _, row in found), tuple(line for line, _ in found)
    return Table(path, columns, rows, lines)


_Read = tuple[tuple[str, ...], list[tuple[int, tuple[str, ...]]]]
"""Columns, and the values of every line with its number."""


def _csv(text: str, separator: str | None) -> _Read:
    if separator is None:
        sample = text[:_SNIFFED].rpartition("\n")[0] or text[:_SNIFFED]
        try:
            separator = csv.Sniffer().sniff(sample, SEPARATORS).delimiter
        except csv.Error:  # it has one column, or nothing in common between its lines
            separator = ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found = []
    for row in reader:
        values = tuple(value.strip() for value in row)
        if any(values):
            found.append((reader.line_num, values))
    if found and not any(map(_names_an_image, found[0][1])):
        return found[0][1], found[1:]
    return tuple(str(number + 1) for number in range(len(found[0][1]) if found else 0)), found


def _json_lines(text: str) -> _Read:
    found: list[tuple[int, dict[str, object]]] = []
    for line, written in enumerate(text.split("\n"), 1):
        if written.strip():
            try:
                values = json.loads(written)
            except RecursionError:
                raise ValueError(f"line {line} nests too deep") from None
            if not isinstance(values, dict):
                raise ValueError(f"line {line} is no object of JSON")
            found.append((line, values))
    plain = {
        name: None
        for _, values in found
        for name, value in values.items()
        if isinstance(value, str | int | float)
    }
    rows = [
        (line, tuple(str(values.get(name, "")).strip() for name in plain)) for line, values in found
    ]
    return tuple(plain), rows


def _path_column(table: Table) -> str | None:
    """The column of the files: by what it holds, else by its name."""
    holding = [
        name
        for number, name in enumerate(table.columns)
        if all(_names_an_image(row[number]) for row in table.rows[:_ROWS_LOOKED_AT])
    ]
    if len(holding) == 1:
        return holding[0]
    return next(iter(_called(holding or table.columns, PATHS)), None)


def _only(columns: Sequence[str], table: Table) -> str | None:
    """The one of some columns that can be classes: one alone, or one whose values repeat."""
    if len(columns) == 1:
        return columns[0]
    repeating = [
        name for name in columns if 2 <= len(set(table.column(name))) <= len(table.rows) // 2
    ]
    return repeating[0] if len(repeating) == 1 else None


def _called(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns that have one of some names, in the order of the names."""
    by_name = {column.lower().replace(" ", "_").replace("-", "_"): column for column in columns}
    return [by_name[name] for name in names if name in by_name]


def _names_an_image(value: str) -> bool:
    return Path(value).suffix.lower() in IMAGE_SUFFIXES


def _all_splits(values: Sequence[str]) -> bool:
    return all(value.lower() in SPLIT_WORDS for value in values)


def _unclear(table: Table, what: str, option: str) -> str:
    return (
        f"which column of {table.path} holds {what}? It has: "
        f"{printable(', '.join(table.columns))}. Say it with {option}."
    )
