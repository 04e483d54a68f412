"""When a training stops before its end: because someone asked, or because its time is up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True)
class Halt:
    """Asked by a training after every step; who wants it to stop calls ``ask``.

    Attributes:
        deadline: time of ``time.monotonic`` at which to stop; None means never.
    """

    deadline: float | None = None
    _asked: Event = field(default_factory=Event, repr=False)

    def ask(self) -> None:
        """Let the training stop at its next step; may be called by a signal's handler."""
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether someone asked."""
        return self._asked.is_set()

    def late(self, margin_s: float = 0.0) -> bool:
        """Whether the deadline will have passed in so many seconds."""
        return self.deadline is not None and time.monotonic() + margin_s > self.deadline

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until someone asks, or until the deadline."""
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - time.monotonic()))
        self._asked.wait(seconds)
