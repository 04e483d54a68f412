"""Where the pace of a group is looked for, the best source first."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.matrix.run import Run
from benchmark.records.store import Store
from benchmark.work.forecast.arithmetic import pace_by_arithmetic
from benchmark.work.forecast.book import Book
from benchmark.work.forecast.pace import Estimate, Pace, Source
from benchmark.work.forecast.recorded import Recorded


class Forecaster:
    """Knows the paces of groups on a machine.

    What was trained here by this engine comes first. A record names its device: of a GPU it comes
    next, of a CPU behind what was measured, since it does not tell which processor that was. The
    arithmetic is the last resort.

    Args:
        book: paces of this machine.
        store: of records.
    """

    def __init__(self, book: Book, store: Store) -> None:
        self.book, self.recorded = book, Recorded(store, book.machine)
        self._macs_per_s = book.macs_per_s()

    def estimate(self, runs: Sequence[Run]) -> Estimate | None:
        """The pace of a group; None if nothing is known."""
        kept = self.book.find(runs)
        if kept is not None and kept.how == "trained":
            return Estimate(kept, Source.trained)
        recorded = self.recorded.estimate(runs)
        if recorded is not None and not recorded.rough:
            return recorded
        if kept is not None:
            return Estimate(kept, Source.measured)
        if recorded is not None:
            return recorded
        if self._macs_per_s is None:
            return None
        pace = pace_by_arithmetic(runs, self._macs_per_s)
        return Estimate(pace, Source.arithmetic, rough=True)

    def compare(self, groups: Sequence[Sequence[Run]]) -> list[Pace]:
        """The paces of groups from one source that knows them all, for the ratios between them.

        Arithmetic knows every group: of a machine that nothing is known of, the unit is missing.
        """
        for look in (self.book.find, self._recorded):
            known = [pace for pace in map(look, groups) if pace is not None]
            if len(known) == len(groups):
                return known
        return [pace_by_arithmetic(runs, self._macs_per_s or 1e9) for runs in groups]

    def _recorded(self, runs: Sequence[Run]) -> Pace | None:
        estimate = self.recorded.estimate(runs)
        return estimate.pace if estimate else None
