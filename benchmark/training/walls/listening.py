"""A listener whose own faults are no one's failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from benchmark.events import Listener


class Steady(Listener):
    """Passes on all that it hears; what the other cannot say is not said, and that is all.

    A terminal that cannot print a sign, a full disk under a log or a reader that went away are no
    reason to lose a training.

    Args:
        other: who hears it.
    """

    def __init__(self, other: Listener) -> None:
        self._other = other

    def __getattribute__(self, name: str) -> Any:
        """A part of the other, which does nothing where it fails."""
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        part = getattr(self._other, name)
        if not callable(part):
            return part
        return partial(_progress if name == "progress" else _said, part)


def _said(part: Callable[..., Any], *words: Any, **named: Any) -> Any:
    with suppress(Exception):
        return part(*words, **named)
    return None


@contextmanager
def _progress(
    part: Callable[..., AbstractContextManager[Callable[[int], None]]], *words: Any, **named: Any
) -> Iterator[Callable[[int], None]]:
    """The other's bar, which is moved as long as it can be."""
    bar, advance = None, None
    with suppress(Exception):
        bar = part(*words, **named)
        advance = bar.__enter__()
    try:
        yield partial(_said, advance) if advance is not None else lambda more: None
    finally:
        if advance is not None and bar is not None:
            with suppress(Exception):
                bar.__exit__(None, None, None)
