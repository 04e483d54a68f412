"""A listener that remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmark.events import Listener


class Noting(Listener):
    """Remembers notes, and how much of every work was done, by title."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.totals: dict[str, int] = {}
        self.titles: dict[str, int] = {}

    def note(self, message: str) -> None:
        self.notes.append(message)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.totals[title], self.titles[title] = total, 0

        def advance(more: int) -> None:
            self.titles[title] += more

        yield advance
