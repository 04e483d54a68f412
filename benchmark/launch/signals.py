"""Ctrl-C and SIGTERM: the first lets all work stop at a checkpoint, the second leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from benchmark.training.halt import Halt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_at_signals(
    halt: Halt, *, say: Callable[[str], None], leave: Callable[[], None]
) -> Iterator[list[int]]:
    """Let signals ask for a halt while the block runs; outside of the main thread do nothing.

    Args:
        halt: is asked by the first signal.
        say: is told what happens.
        leave: called at the second signal, before this process ends by it.

    Yields:
        The numbers of the signals that came.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            halt.ask()
            say("stopping at the next step; once more leaves at once, without a checkpoint")
            return
        leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
