"""The global state of this process, as it was before a recipe was called, and its restoration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from benchmark.errors import RecipeError
from benchmark.training.walls.knobs import Knob, knobs

KNOBS: list[Knob] = []  # found at the first reading: some ask whether there is a GPU


class NotRestored(RecipeError):
    """A recipe left a global state that cannot be put back."""


class Surroundings:
    """The global state as it is now."""

    def __init__(self) -> None:
        if not KNOBS:
            KNOBS.extend(knobs())
        self._were = _read()

    def restore(self) -> list[str]:
        """Put back what is otherwise by now; returns what that was.

        Raises:
            NotRestored: some of it stays as it is.
        """
        now = _read()
        if now == self._were:
            return []
        found = [
            knob.name for knob, was, is_ in zip(KNOBS, self._were, now, strict=True) if is_ != was
        ]
        self._write()
        if stays := self._write():  # some move others when they are put back
            raise NotRestored(
                f"it left {', '.join(stays)} changed, which cannot be put back. What a recipe "
                "changes for the whole process, others compute with."
            )
        return list(dict.fromkeys(found))

    def _write(self) -> list[str]:
        """Put back what is otherwise; returns what stays so."""
        stays = []
        for knob, was in zip(KNOBS, self._were, strict=True):
            if knob.read() == was:
                continue
            with suppress(Exception):
                knob.write(was)
            if knob.read() != was:
                stays.append(knob.name)
        return stays

    @contextmanager
    def again(self) -> Iterator[None]:
        """Have this state for a moment, in the midst of what a recipe does under its own."""
        own = Surroundings()
        if own._were == self._were:
            yield
            return
        self.restore()
        try:
            yield
        finally:
            own.restore()


@contextmanager
def unchanged() -> Iterator[None]:
    """Put back what a recipe's method changes that is asked outside of a training.

    Raises:
        NotRestored: some of it stays as it is.
    """
    before = Surroundings()
    try:
        yield
    finally:
        before.restore()


def _read() -> list[Any]:
    return [knob.read() for knob in KNOBS]
