"""What a method's settings change, from the records: for its place on the page of recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.reports.board.tables import Board, Cell, Column, Table
from benchmark.reports.escape import markdown as escape
from benchmark.reports.wording import numbers
from benchmark.reports.wording.markdown import code, grid
from benchmark.reports.wording.settings import shown


def sensitivity(board: Board, recipe: str) -> str:
    """A table for every pair on which a recipe was trained with several settings; else nothing.

    Args:
        board: of the records.
        recipe: its name.

    Returns:
        Markdown, of one paragraph and one table a pair.
    """
    parts = []
    for table in board.tables:
        for column in table.columns:
            cells = [cell for cell in column.cells.values() if _is_of(cell, recipe)]
            if names := _varied([_settings(cell) for cell in cells]):
                parts += [_title(table, column), _grid(cells, names).rstrip("\n")]
    return "\n\n".join(parts)


def _is_of(cell: Cell, recipe: str) -> bool:
    """Whether it is of the recipe's own settings, and no mark or variant tells it apart."""
    return cell.recipe == recipe and not cell.mark and not _spec(cell).variant


def _spec(cell: Cell) -> Any:
    return next(iter(cell.records.values())).spec


def _settings(cell: Cell) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = _spec(cell).settings
    return settings


def _varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of those that not all have alike, in their order."""
    names = dict.fromkeys(name for one in settings for name in one)
    return [name for name in names if len({shown(one.get(name)) for one in settings}) > 1]


def _title(table: Table, column: Column) -> str:
    return f"{escape(numbers.heading(table))}, {escape(numbers.pair(column))}:"


def _grid(cells: Sequence[Cell], names: Sequence[str]) -> str:
    """A row for every choice of settings, in the order of their values."""

    def place(cell: Cell) -> list[tuple[bool, float, str]]:
        return [_place(_settings(cell).get(name)) for name in names]

    head = [*map(code, names), f"{cells[0].metric.label} (seeds)", "gain"]
    rows = [
        [
            *(code(shown(_settings(cell).get(name))) for name in names),
            numbers.score(cell),
            numbers.gain(cell),
        ]
        for cell in sorted(cells, key=place)
    ]
    return grid([head, *rows])


def _place(value: object) -> tuple[bool, float, str]:
    """Numbers by their size, then words."""
    if isinstance(value, int | float):
        return False, float(value), ""
    return True, 0.0, str(value)
