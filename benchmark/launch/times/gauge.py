"""The pace of a group as it is seen while it trains, and what of its work is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import fmean

from benchmark.work.forecast.pace import Pace, Work

RECENT = 8  # epochs that a pace is measured by: what slows a machine down is seen within them
SOON_S = 2.0  # of steps, by which the first epoch has a rate before it is over


class Gauge:
    """Measures a group by what it tells.

    A rate is images over the seconds of their training, in the last epochs and in the one that
    runs; an examination is what an examined epoch took beyond that.

    Args:
        work: what the group has to do after so many epochs.
        clock: in seconds.

    Attributes:
        first: epochs that were behind it when it began.
        start_s: from its beginning to that of its training, in seconds; None until then.
    """

    def __init__(self, work: Callable[[int], Work], clock: Callable[[], float]) -> None:
        self._work, self._clock = work, clock
        self.start_s: float | None = None
        self.first = self._epoch = 0
        self._trained: deque[tuple[float, float]] = deque(maxlen=RECENT)  # images, their seconds
        self._examined: deque[float] = deque(maxlen=RECENT)  # seconds
        self._steady: tuple[float, float] | None = None  # images of this epoch, and when
        self._begin_epoch()

    def group_started(self, done: int) -> None:
        """It begins its training, or a part of its members theirs, with epochs behind it."""
        self._epoch = done
        if self.start_s is None:
            self.first, self.start_s = done, self._clock() - self._began
        self._begin_epoch()

    def epoch_started(self) -> None:
        """An epoch begins."""
        self._begin_epoch()

    def images_done(self, images: int) -> None:
        """So many more images are trained."""
        self._heard_at = self._clock()
        self._images += images
        if self._steady is None:
            # With the first ones come those before a checkpoint, and the time to open the data.
            self._steady = self._images, self._heard_at
        self._latest = self._images, self._heard_at

    def epoch_finished(self, epoch: int, images_per_s: float) -> None:
        """An epoch is trained, and examined if it is one of those.

        Args:
            epoch: its number, from 1.
            images_per_s: of its training.
        """
        before, self._epoch = self._work(epoch - 1), epoch
        wall = self._clock() - self._began
        trained = before.images / images_per_s
        if self._work(epoch).examinations == before.examinations:
            trained = max(trained, wall)  # a checkpoint takes its time
        elif wall >= trained:  # else it began in the middle
            self._examined.append(wall - trained)
        self._trained.append((before.images, trained))
        self._begin_epoch()

    @property
    def images_per_s(self) -> float | None:
        """The rate of its training; None until there is something to know it by."""
        images = sum(images for images, _ in self._trained)
        seconds = sum(seconds for _, seconds in self._trained)
        if self._steady is not None:
            images += self._latest[0] - self._steady[0]
            seconds += self._latest[1] - self._steady[1]
        known = self._trained or seconds >= SOON_S
        return images / seconds if known and images > 0 and seconds > 0 else None

    @property
    def examination_s(self) -> float | None:
        """Seconds of an examination; None until it had one."""
        return fmean(self._examined) if self._examined else None

    def left(self, pace: Pace) -> float:
        """Seconds until its end at a pace."""
        work = self._work(self._epoch)
        images = work.epochs * work.images - min(self._images, work.images)
        seconds = max(0, images) / pace.images_per_s + work.examinations * pace.examination_s
        if self.start_s is None:
            seconds += pace.start_s
        return max(0.0, seconds - (self._clock() - self._heard_at))

    def _begin_epoch(self) -> None:
        self._began = self._heard_at = self._clock()
        self._images = 0.0
        self._steady = None
        self._latest = 0.0, self._began
