"""What a person sees while the matrix runs: a live screen on a terminal, plain lines elsewhere.

Whatever happens to the terminal or the log, nothing here raises into the engine (see ``screen``).
"""

from __future__ import annotations

from typing import IO, cast

from rich.console import Console

from benchmark.events import Listener
from benchmark.reports.terminal.live.bars import Bars
from benchmark.reports.terminal.live.lines import Lines
from benchmark.reports.terminal.screen import sturdy

__all__ = ["Bars", "Lines", "listener"]


def listener(console: Console) -> Listener:
    """The listener that suits where the console writes."""
    shown = console.is_terminal and not console.is_dumb_terminal
    outlet = sturdy(console.file)
    outlet.tells_of_readers = True
    console.file = cast("IO[str]", outlet)
    return Bars(console) if shown else Lines(console)
