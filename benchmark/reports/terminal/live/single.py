"""A group that trains without a matrix: who shows the matrix shows it, too."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.events import LearnerEpoch, Listener


class Single(Listener):
    """Hears of one group after the other itself, and gives each to a listener of its own.

    Who trains a plan asks for such listeners with ``beside``; who trains a single group, to verify
    or to try something, tells of it here.
    """

    def __init__(self) -> None:
        self._group: Listener | None = None
        self._epochs = 0

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Another group begins."""
        self._end_group()
        self._group, self._epochs = self.beside(0), epochs
        self._group.group_started(title, labels, epochs, done)

    def epoch_started(self, epoch: int, images: int) -> None:
        """Tell the group's."""
        if self._group is not None:
            self._group.epoch_started(epoch, images)

    def images_done(self, images: int) -> None:
        """Tell the group's."""
        if self._group is not None:
            self._group.images_done(images)

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Tell the group's; after the last epoch nothing more comes of it."""
        if self._group is not None:
            self._group.epoch_finished(epoch, learners, images_per_s)
            if epoch == self._epochs:
                self._end_group()

    def close(self) -> None:
        """The work is over."""
        self._end_group()

    def _end_group(self) -> None:
        if self._group is not None:
            self._group.close()
            self._group = None
