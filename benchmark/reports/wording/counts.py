"""Things and their number."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """``1 record`` or ``3 records``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
