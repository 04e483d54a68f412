"""Who trains what at this moment, for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording.counts import counted

SILENT_S = 30  # longer than a holder ever is between two signs, unless its disk or it is stuck


def work_tables(rows: Iterable[Mapping[str, Any]]) -> list[RenderableType]:
    """The runs that are not finished, in a table; no table if there are none.

    Args:
        rows: each with ``dataset``, ``protocol``, ``seed``, ``label``, ``epoch``, ``epochs``,
            ``host``, ``pid``, ``silent_s``.
    """
    table = Rows(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("data set", "run", "seed", "epoch", "where"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            row["dataset"],
            row["label"],
            str(row["seed"]),
            f"{row['epoch']}/{row['epochs']}" if row["epochs"] else "",
            _where(row),
        )
    return [table] if table.row_count else []


def runs_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The folder of runs by cell, with the sum of the sizes.

    Args:
        rows: each with ``cell``, ``folder``, ``state``, ``epoch``, ``epochs``, ``bytes``.
    """
    if not rows:
        return words("There are no runs in the folder.")
    table = Rows(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("cell", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["cell"] or f"{row['folder']} ({row['label'] or 'nothing tells of what'})",
            row["state"],
            f"{row['epoch']}/{row['epochs']}" if row["epochs"] else "",
            f"{row['bytes'] / 1e6:,.1f}",
        )
    return Group(table, words(f"{counted(len(rows), 'run')}, {_mb(rows)}."))


def needless_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What of the folder of runs can go, by reason, with the sum of the sizes.

    Args:
        rows: each with ``cell``, ``folder``, ``files``, ``bytes``, ``why``.
    """
    by_reason: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_reason.setdefault(row["why"], []).append(row)
    parts: list[RenderableType] = []
    for why, found in by_reason.items():
        table = Rows(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        table.add_column(overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        for row in found:
            table.add_row(row["cell"] or row["folder"], f"{row['bytes'] / 1e6:,.1f} MB")
        parts += [words(f"{why} ({counted(len(found), 'run')}, {_mb(found)})"), table]
    return Group(*parts)


def _mb(rows: Iterable[Mapping[str, Any]]) -> str:
    return f"{sum(row['bytes'] for row in rows) / 1e6:,.1f} MB"


@contextmanager
def watching(console: Console) -> Iterator[Callable[[Sequence[RenderableType]], None]]:
    """A place on the terminal that shows what was given last; elsewhere what is new is printed.

    Ctrl-C ends the block as if it had come to its end.

    Args:
        console: where it is shown.

    Yields:
        A function that shows tables in the place of those before.
    """
    shown: list[str] = []

    def print_new(tables: Sequence[RenderableType]) -> None:
        with console.capture() as capture:
            console.print(*tables)
        if shown[-1:] != [capture.get()]:
            shown.append(capture.get())
            console.print(*tables)

    with suppress(KeyboardInterrupt):
        if not console.is_terminal:
            yield print_new
            return
        with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
            yield lambda tables: live.update(Group(*tables), refresh=True)


def _where(row: Mapping[str, Any]) -> Text:
    if not row["host"]:
        return Text("half trained; 'kdbench run' goes on with it", style="dim")
    text = words(f"{row['host']}, process {row['pid']}")
    if row["silent_s"] > SILENT_S:
        text.append(f", silent for {row['silent_s']:.0f} s", style="yellow")
    return text
