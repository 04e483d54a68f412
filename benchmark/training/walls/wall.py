"""The wall between a recipe's hooks and the state of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.training.walls.surroundings import Surroundings


class Wall:
    """Puts back what hooks leave changed, one member's turn after the other's.

    Attributes:
        found: what was put back in this turn, and after which hook.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._before: Surroundings | None = None

    def enter(self) -> None:
        """A turn begins: remember what is."""
        self._before, self.found = Surroundings(), {}

    def tidy(self, hook: str) -> None:
        """A hook is over: put back what it changed; nothing outside of a turn.

        Raises:
            NotRestored: some of it stays as it is.
        """
        if self._before is not None:
            for what in self._before.restore():
                self.found.setdefault(what, hook)

    def leave(self) -> None:
        """The turn is over."""
        try:
            self.tidy("its turn")
        finally:
            self._before = None

    @contextmanager
    def engine(self) -> Iterator[None]:
        """What is done for all members, in the midst of one's hook, is done as without it."""
        if self._before is None:
            yield
            return
        with self._before.again():
            yield
