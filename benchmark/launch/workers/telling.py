"""A listener that passes on what it hears, to another process or to who speaks for several."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmark.events import LearnerEpoch, Listener
from benchmark.launch.launcher import Heard

OF_A_GROUP = {"group_started", "epoch_started", "images_done", "epoch_finished", "time_left"}
SELDOM_S = 0.1  # a bar that moves ten times a second seems to flow; steps of a fast group are more


class Telling(Listener):
    """Passes on what a piece of work tells.

    Args:
        work: its number.
        tell: takes what is told; may be called from several threads, one at a time.
    """

    def __init__(self, work: int, tell: Callable[[Heard], None]) -> None:
        self._work, self._tell = work, tell
        self._images, self._told_at = 0, 0.0
        self._lock = threading.Lock()

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Pass it on."""
        self._say("group_started", title, list(labels), epochs, done)

    def epoch_started(self, epoch: int, images: int) -> None:
        """Pass it on."""
        self._say("epoch_started", epoch, images)

    def images_done(self, images: int) -> None:
        """Add them up, and pass the sum on from time to time."""
        self._images += images
        if time.monotonic() - self._told_at > SELDOM_S:
            self._say_images()

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Pass it on."""
        self._say_images()
        self._say("epoch_finished", epoch, list(learners), images_per_s)

    def kept(self, path: Path) -> None:
        """Pass it on."""
        self._say("kept", path)

    def note(self, message: str) -> None:
        """Pass it on."""
        self._say("note", message)

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Pass on the beginning, sums from time to time, and the end."""
        more_to_tell, told_at = 0, 0.0

        def advance(more: int) -> None:
            nonlocal more_to_tell, told_at
            more_to_tell += more
            if time.monotonic() - told_at > SELDOM_S:
                self._say("progress_moved", title, more_to_tell)
                more_to_tell, told_at = 0, time.monotonic()

        self._say("progress_begun", title, total)
        try:
            yield advance
        finally:
            self._say("progress_moved", title, more_to_tell)
            self._say("progress_over", title)

    def _say_images(self) -> None:
        self._say("images_done", self._images)
        self._images, self._told_at = 0, time.monotonic()

    def _say(self, method: str, *arguments: Any) -> None:
        with self._lock:
            self._tell(Heard(self._work, method, arguments))


class Retelling:
    """Repeats to a listener what was passed on.

    Args:
        listener: hears it.
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._beside: dict[int, Listener] = {}
        self._open: dict[int, dict[str, tuple[ExitStack, Callable[[int], None]]]] = {}

    def __call__(self, heard: Heard) -> None:
        """Repeat it."""
        match heard.method, heard.arguments:
            case "progress_begun", (title, total):
                stack = ExitStack()
                advance = stack.enter_context(self.listener.progress(title, total))
                self._open.setdefault(heard.work, {})[title] = stack, advance
            case "progress_moved", (title, more):
                self._open[heard.work][title][1](more)
            case "progress_over", (title,):
                self._open[heard.work].pop(title)[0].close()
            case method, arguments if method in OF_A_GROUP:
                if heard.work not in self._beside:
                    self._beside[heard.work] = self.listener.beside(heard.work)
                getattr(self._beside[heard.work], method)(*arguments)
            case "note", (message,):
                self.listener.note(message)
            case "kept", (path,):
                self.listener.kept(path)

    def over(self, work: int) -> None:
        """A piece of work is over: end what it left open."""
        for stack, _ in self._open.pop(work, {}).values():
            stack.close()
        beside = self._beside.pop(work, self.listener)
        if beside is not self.listener:
            beside.close()
