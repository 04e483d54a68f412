"""A bar on the terminal for work on many images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress


@contextmanager
def bar(console: Console | None, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on the console; what it gives is told how much more is done.

    Args:
        console: where to draw; None draws nothing.
        title: stands before the bar.
        total: how much there is to do.
    """
    if console is None:
        yield lambda _: None
        return
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as shown:
        task = shown.add_task(title, total=total)
        yield lambda more: shown.advance(task, more)
