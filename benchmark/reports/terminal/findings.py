"""What a doctor found, for a person: the gravest first, what is fine in a line a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding

from benchmark.reports.terminal.screen import Rows, words

STYLES = {"fault": "bold red", "warning": "yellow", "note": "cyan"}  # the gravest first
MOST_PLACES = 6  # of one finding; --json names all


def findings_tables(findings: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Two tables, of what is wrong and of what is fine, and how much is wrong.

    Args:
        findings: each with ``part``, ``level``, ``what``, ``where``, ``remedy``, ``done``.
    """
    wrong = _rows(between=1)
    for level, style in STYLES.items():
        for finding in findings:
            if finding["level"] == level:
                mended = bool(finding["done"])
                word = words("mended" if mended else level, style="green" if mended else style)
                wrong.add_row(word, _told(finding))
    if wrong.row_count:
        yield wrong
    fine: dict[str, list[str]] = {}
    for finding in findings:
        if finding["level"] == "ok":
            fine.setdefault(finding["part"], []).append(finding["what"])
    table = _rows(between=0)
    for part, told in fine.items():
        table.add_row(words(part, style="green"), words("; ".join(told)))
    if fine:
        yield table
        yield words("")
    yield words(_summary(findings))


def _rows(*, between: int) -> Rows:
    table = Rows(box=None, show_header=False, pad_edge=True, padding=(0, 2, between, 0))
    table.add_column(no_wrap=True, min_width=12)
    table.add_column(overflow="fold")
    return table


def _told(finding: Mapping[str, Any]) -> RenderableType:
    lines: list[RenderableType] = [words(f"{finding['part']}: {finding['what']}", style="bold")]
    places = list(finding["done"] or finding["where"])
    more = len(places) - MOST_PLACES
    if more > 0:
        places[MOST_PLACES:] = [f"and {more} more; --json names all"]
    lines += [Padding(words(place), (0, 0, 0, 2)) for place in places]
    if finding["remedy"] and not finding["done"]:
        lines.append(words(f"→ {finding['remedy']}", style="dim"))
    return Group(*lines)


def _summary(findings: Sequence[Mapping[str, Any]]) -> str:
    left = Counter(finding["level"] for finding in findings if not finding["done"])
    mended = sum(bool(finding["done"]) for finding in findings)
    told = [f"{left[level]} {level}{'s' * (left[level] != 1)}" for level in STYLES if left[level]]
    if mended:
        told.append(f"{mended} mended")
    return f"{', '.join(told)}." if told else "Nothing is wrong."
