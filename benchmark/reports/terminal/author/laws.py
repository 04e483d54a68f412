"""How recipes stand to the laws of all recipes, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding

from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording.counts import counted

SIGNS = {"ok": ("✓", "green"), "fault": ("✗", "bold red"), "advice": ("·", "yellow")}
MOST_CASES = 3  # of one law; --json names all
MOST_LINES = 8  # of one reason


def law_table(laws: Iterable[Mapping[str, Any]], *, debug: bool = False) -> RenderableType:
    """A line a law, and under it where it is not kept.

    Args:
        laws: each with ``law``, ``level``, ``held``, ``broken``, ``refused``.
        debug: with the whole traceback of what was raised.
    """
    table = Rows(box=None, show_header=False, pad_edge=True, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    before: set[tuple[str, str]] = set()
    for law in laws:
        sign, style = SIGNS[law["level"]]
        table.add_row(words(sign, style=style), _told(law, before, debug=debug))
    return table


def refusals(laws: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What a recipe refuses, each once."""
    yield from dict.fromkeys(refused for law in laws for refused in law["refused"])


def sum_of(laws: Iterable[Mapping[str, Any]], path: str) -> str:
    """How many laws are kept."""
    levels = [law["level"] for law in laws]
    kept, faults, advice = (levels.count(level) for level in SIGNS)
    told = [f"{kept} of {len(levels)} laws kept"]
    if faults:
        told.append(f"{faults} broken: correct {Path(path).name}")
    if advice:
        told.append(f"{advice} to mend before it is handed in")
    return "; ".join(told) + "."


def _told(law: Mapping[str, Any], before: set[tuple[str, str]], *, debug: bool) -> RenderableType:
    """A law, and why it is not kept, less what was told before."""
    broken, of = law["broken"], law["held"] + len(law["broken"])
    cases = f"  ({law['held']} of {of} cases)" if broken and of > 1 else ""
    lines: list[RenderableType] = [words(f"{law['law']}{cases}")]
    by_reason: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in broken:
        by_reason.setdefault((one["where"], one["reason"]), []).append(one)
    new = [reason for reason in by_reason if reason not in before]
    before |= set(new)
    for where, reason in new[:MOST_CASES]:
        first, *others = by_reason[where, reason]
        more = f" and {counted(len(others), 'more case')}" if others else ""
        head = f"{first['case']}{more}{f', {where}' if where else ''}:"
        short = "\n".join(reason.splitlines()[:MOST_LINES])
        lines.append(Padding(words(head, style="dim"), (0, 0, 0, 2)))
        lines.append(Padding(words((debug and first["traceback"]) or short), (0, 0, 0, 4)))
    if (left := len(new) - MOST_CASES) > 0:
        lines.append(_aside(f"{counted(left, 'other reason')}; --json names all"))
    if known := len(by_reason) - len(new):
        lines.append(_aside(f"{counted(known, 'reason')} as above"))
    return Group(*lines)


def _aside(text: str) -> Padding:
    return Padding(words(text, style="dim"), (0, 0, 0, 2))
