"""What a person sees on a terminal: tables, and the progress of what runs.

The only room of the engine that knows rich; others take their console from here.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console as Console
    from rich.console import RenderableType


def console(*, stderr: bool = False) -> Console:
    """A console on the standard output, or on the standard error beside output for machines."""
    from rich.console import Console  # late: whoever prints nothing does not wait for it

    return Console(stderr=stderr)


def as_svg(shown: Iterable[RenderableType], *, width: int, title: str) -> str:
    """What a terminal of this width would show, as a picture; equal content gives an equal text."""
    from rich.console import Console

    recorder = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for part in shown:
        recorder.print(part)
    return recorder.export_svg(title=title, unique_id="kdbench")
