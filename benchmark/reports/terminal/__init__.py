"""What a person sees on a terminal: tables, and the progress of what runs.

The only room of the engine that knows rich; others take their console from here.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.reports.escape import plain

if TYPE_CHECKING:
    from rich.console import Console as Console
    from rich.console import RenderableType

FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)  # rich's, fetched from the web


def console(*, stderr: bool = False) -> Console:
    """A console on the standard output, or on the standard error beside output for machines."""
    # Late, as rich is: whoever prints nothing does not wait for it.
    from benchmark.reports.terminal.screen import Screen

    return Screen(sys.stderr if stderr else sys.stdout, stderr=stderr)


def as_svg(shown: Iterable[RenderableType], *, width: int, title: str) -> str:
    """What a terminal of this width would show, as a picture; equal content gives an equal text.

    It is drawn in the reader's own fonts: a picture fetches nothing.
    """
    from rich._export_format import CONSOLE_SVG_FORMAT

    from benchmark.reports.terminal.screen import Screen

    recorder = Screen(io.StringIO(), record=True, width=width, force_terminal=True)
    for part in shown:
        recorder.print(part)
    return recorder.export_svg(
        title=plain(title),
        code_format=FONT_FACE.sub("", CONSOLE_SVG_FORMAT),
        unique_id="kdbench",
    )
