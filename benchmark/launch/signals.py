"""Ctrl-C, SIGTERM, a closed terminal: the first lets all work stop, the second leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from benchmark.training.halt import Halt

STOPS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# 'timeout', 'uv run' and others pass a signal on that this process has had already, within
# milliseconds; nobody presses Ctrl-C twice as fast and means it.
ECHO_S = 0.2


@contextmanager
def stopping_at_signals(
    halt: Halt, *, say: Callable[[str], None], leave: Callable[[], None]
) -> Iterator[list[int]]:
    """Let signals ask for a halt while the block runs; outside of the main thread do nothing.

    A hang-up that is ignored, as ``nohup`` makes it, stays ignored.

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
    first_at = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first_at
        if came and time.monotonic() - first_at < ECHO_S:
            return
        came.append(number)
        if len(came) == 1:
            first_at = time.monotonic()
            halt.ask()
            with contextlib.suppress(Exception):  # e.g. in the middle of another write
                say("stopping at the next step; once more leaves at once, without a checkpoint")
            return
        with contextlib.suppress(Exception):
            leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = {
        number: signal.signal(number, handle)
        for number in STOPS
        if number in (signal.SIGINT, signal.SIGTERM)
        or signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
