"""How commands speak: JSON for machines, text and tables for people."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from benchmark.errors import UsageError
from benchmark.reports.terminal import console
from benchmark.reports.terminal.moment import MOMENT

if TYPE_CHECKING:
    from benchmark.reports.terminal import Console

__all__ = ["DEBUG", "MOMENT", "announced", "console", "print_json", "say", "write_out"]

DEBUG: ContextVar[bool] = ContextVar("debug", default=False)  # whether tracebacks are shown


def announced(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command say on a terminal that it is there, before it imports what is slow to import.

    Args:
        name: of the command, for a person.

    Returns:
        What decorates a command; its options are as they were.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_first_words(**values: Any) -> None:
            MOMENT.say(f"loading what 'kdbench {name}' needs")
            try:
                command(**values)
            finally:
                MOMENT.clear()

        return with_first_words

    return decorate


def say(where: Console, text: object) -> None:
    """Print a sentence as it is: no markup, no colours for numbers, no line broken."""
    where.print(text, markup=False, highlight=False, soft_wrap=True)


def write_out(text: str) -> None:
    """Write text for machines whole: unlike what a person sees, no part of it may be lost.

    Raises:
        UsageError: the standard output does not take it.
    """
    MOMENT.clear()
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader has seen enough
    except (OSError, UnicodeEncodeError) as error:
        if isinstance(error, OSError):
            # Python would try again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError(
            f"cannot write to the standard output: {getattr(error, 'strerror', None) or error}. "
            f"Write to another place; PYTHONIOENCODING=utf-8 makes it take every sign."
        ) from None


def print_json(value: object, *, ascii_only: bool = True) -> None:
    """Print plain data for machines."""
    write_out(json.dumps(value, indent=2, ensure_ascii=ascii_only) + "\n")
