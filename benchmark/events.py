"""What the engine tells while it works; whoever shows progress listens.

The engine calls the methods of a ``Listener`` and never prints. The base class hears and does
nothing; those that show something live in ``benchmark/reports/terminal``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LearnerEpoch:
    """How one learner did in one epoch.

    Attributes:
        label: short name for a person.
        terms: mean of every weighted loss term.
        top1: accuracy in percent on the evaluated split.
        error: why it left the group, if it did.
    """

    label: str
    terms: Mapping[str, float]
    top1: float | None
    error: str | None = None


class Listener:
    """A listener that shows nothing."""

    @property
    def shows(self) -> bool:
        """Whether a person watches and others, as the hub's client, may draw bars of their own."""
        return False

    def matrix_started(self, runs: int, skipped: int) -> None:
        """The matrix has so many runs to train; so many are recorded already."""

    def beside(self, group: int) -> Listener:
        """Who hears of one of the groups that train at the same time, until it is closed.

        Args:
            group: number of the group.
        """
        return self

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """A group starts at epoch ``done`` of ``epochs``."""

    def epoch_started(self, epoch: int, images: int) -> None:
        """An epoch (from 1) of so many images starts."""

    def images_done(self, images: int) -> None:
        """So many more images went through the step."""

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """An epoch and its evaluation ended."""

    def time_left(self, seconds: float | None) -> None:
        """So long the group, or the whole matrix, will still take; None: it is not known yet."""

    def run_finished(self, label: str, outcome: str) -> None:
        """A run was recorded: ``64.2 %`` or ``failed: …``."""

    def kept(self, path: Path) -> None:
        """A file of the working folder, a checkpoint or a history, was written."""

    def note(self, message: str) -> None:
        """Something a person should know."""

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Work on so many images, or bytes, begins.

        Args:
            title: what is done, for a person.
            total: how many there are; None if that is not known.

        Yields:
            A function that is told how many more are done.
        """
        yield lambda more: None

    def close(self) -> None:
        """The work is over: nothing more will be told."""
