"""What is left of work that others do: seen from time to time, by how it has shrunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from benchmark.launch.progress import AtWork
from benchmark.matrix.run import AnyRun, Run
from benchmark.work.forecast.pace import images_of

RECENT = 60  # looks back: of a look a minute the last hour, so that jobs that came later count


class Trend:
    """Foretells when an amount will be gone, from the amounts that were seen."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=RECENT)  # when, how much

    def left(self, amount: float, now: float) -> float | None:
        """Seconds until nothing is left; None while it has not been seen to shrink.

        Args:
            amount: that is left now.
            now: in seconds, never before an earlier look.
        """
        if amount <= 0:
            return 0.0
        self._seen.append((now, amount))
        began, before = self._seen[0]
        if amount >= before or now <= began:
            return None
        return amount * (now - began) / (before - amount)


def images_left(runs: Iterable[AnyRun], at_work: Iterable[AtWork]) -> int:
    """Images that are still to train, each counted for every run that looks at it.

    Args:
        runs: that have no result yet.
        at_work: those of them that are half trained, or being trained.
    """
    left, images = 0, dict[tuple[str, str], int]()
    for run in runs:
        if isinstance(run, Run):
            images[run.card.name, run.protocol.name], _ = images_of(run)
            left += images[run.card.name, run.protocol.name] * run.protocol.epochs
    done = (one.epoch * images.get((one.dataset, one.protocol), 0) for one in at_work)
    return max(0, left - sum(done))
