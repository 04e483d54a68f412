"""Which runs are trained next: of those that are ready, a group that nobody else trains."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from benchmark.errors import BenchmarkError
from benchmark.launch.claims import Claims
from benchmark.launch.ends import Ends
from benchmark.launch.order import Order
from benchmark.launch.times.outlook import NoOutlook
from benchmark.matrix.cutting import fitting, shared_out
from benchmark.matrix.run import AnyRun

LOOK_S = 1.0  # how often others' progress is looked at while there is nothing to do here


@dataclass
class Claiming:
    """Claims groups for this process.

    Args:
        order: tells what is ready.
        claims: on the runs.
        ends: ends the runs that others have ended, and knows those that others train.
        pauses_s: before further tries where no claim can be written.
        outlook: foretells what groups cost, and whether they fit into the memory.
    """

    order: Order
    claims: Claims
    ends: Ends
    pauses_s: Sequence[float]
    outlook: NoOutlook = field(default_factory=NoOutlook)
    _looks_at: float = 0.0
    _failures: int = 0

    def changed(self) -> None:
        """Runs ended, so that others may be ready: look at once."""
        if not self._failures:
            self._looks_at = 0.0

    def group(self, taken: Collection[str], *, slots: int) -> list[AnyRun]:
        """The runs of the next group that is ready and that nobody else trains, claimed.

        Args:
            taken: identities of runs that are busy here.
            slots: for how many groups there is room.

        Raises:
            BenchmarkError: nothing can be claimed, and nothing runs here that could be waited for.
        """
        if time.monotonic() < self._looks_at:
            return []
        try:
            runs = self._claimed(taken, slots)
        except BenchmarkError as error:
            if self._failures >= len(self.pauses_s) and not taken:
                raise
            pause = [LOOK_S, *self.pauses_s][: self._failures + 2][-1]
            self._failures += 1
            self._looks_at = time.monotonic() + pause
            self.ends.listener.note(f"{error}\ntrying again in {pause:.0f} s")
            return []
        self._failures = 0
        # Thousands of runs that wait are not looked at ten times a second.
        self._looks_at = 0.0 if runs else time.monotonic() + LOOK_S
        return runs

    def _claimed(self, taken: Collection[str], slots: int) -> list[AnyRun]:
        others = {identity for identity in self.ends.waits_for if self.claims.other(identity)}
        weigh = self.outlook.weights
        ready = fitting(self.order.ready({*taken, *others}), self.outlook.fits, weigh)
        for group in shared_out(list(ready), slots, weigh):
            runs: list[AnyRun] = []
            for run in group:
                if not self.claims.take(run.identity, run.label):
                    self.ends.waits_for.add(run.identity)
                    if not runs:
                        break  # another process is just taking this group
                elif not self.ends.ended_by_another(run):
                    runs.append(run)
            if runs:
                return runs
        return []
