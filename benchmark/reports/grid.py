"""A table of markdown that also reads well as text."""

from __future__ import annotations

from collections.abc import Sequence


def grid(rows: Sequence[Sequence[str]]) -> str:
    """A table of markdown, its columns aligned; the first row is its head."""
    safe = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*safe, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in safe
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
