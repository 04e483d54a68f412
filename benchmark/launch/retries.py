"""Another try: for runs that lacked memory, whose process died, or whose surroundings failed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmark.events import Listener
from benchmark.launch.launcher import Died
from benchmark.matrix.cutting import halves
from benchmark.matrix.run import AnyRun
from benchmark.training.ending import Disturbed

TRIES = 3  # of a run whose process somebody ended, or whose surroundings failed for a moment


@dataclass
class Retries:
    """The runs that get another try, and when.

    Args:
        listener: hears why.
        pauses_s: before another try, after a fault that lasts.
    """

    listener: Listener
    pauses_s: Sequence[float]
    _parts: list[tuple[float, list[AnyRun]]] = field(default_factory=list)
    _tries: Counter[str] = field(default_factory=Counter)
    _tried_afresh: set[str] = field(default_factory=set)

    def due(self) -> list[AnyRun]:
        """Runs that are tried again side by side, now; empty if there are none."""
        for number, (at, _) in enumerate(self._parts):
            if time.monotonic() >= at:
                return self._parts.pop(number)[1]
        return []

    def runs(self) -> Iterator[AnyRun]:
        """All that wait for another try."""
        for _, runs in self._parts:
            yield from runs

    def crowded_out(self, runs: Sequence[AnyRun], group: Sequence[AnyRun]) -> None:
        """Runs of a group lacked memory: they go together if others left room, else in halves."""
        parts = halves(runs) if len(runs) == len(group) else [list(runs)]
        sizes = " and ".join(str(len(part)) for part in parts)
        self.listener.note(
            f"out of memory with {len(group)} runs side by side: trying {sizes} of them again"
        )
        self._parts += [(0.0, part) for part in parts]

    def apart(self, runs: Sequence[AnyRun], death: Died) -> None:
        """The process of several runs died: one by one, so that the one to blame is found."""
        self.listener.note(f"{death.reason}: its {len(runs)} runs are tried one by one")
        self._parts += [(0.0, [run]) for run in runs]

    def afresh(self, runs: Sequence[AnyRun], death: Died) -> bool:
        """A process died that had trained others before: once more in a new one, the first time."""
        again = {run.identity for run in runs} - self._tried_afresh
        if not again:
            return False
        self._tried_afresh |= again
        self.listener.note(f"{death.reason}, after other work: once more in a new process")
        self._parts.append((0.0, list(runs)))
        return True

    def disturbed(self, runs: Sequence[tuple[AnyRun, Disturbed]]) -> list[tuple[AnyRun, Disturbed]]:
        """Surroundings failed: those runs again that have not been tried too often; the others."""
        given_up, again = [], []
        for run, disturbance in runs:
            tries = len(self.pauses_s) if disturbance.lasting else TRIES
            self._tries[run.identity] += 1
            if self._tries[run.identity] > tries:
                given_up.append((run, disturbance))
            else:
                again.append((run, disturbance))
        if again:
            run, disturbance = again[0]
            tried = self._tries[run.identity]
            pause = self.pauses_s[tried - 1] if disturbance.lasting else 0.0
            when = f"in {pause:.0f} s" if pause else "now"
            said = disturbance.reason.rstrip(".")
            self.listener.note(f"not a fault of the runs: {said}. Again {when}")
            self._parts.append((time.monotonic() + pause, [run for run, _ in again]))
        return given_up
