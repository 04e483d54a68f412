"""What the engine tells while it works; whoever shows progress listens.

The engine calls the methods of a ``Listener`` and never prints. The base class hears and does
nothing; those that show something live in ``benchmark/reports/terminal``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LearnerEpoch:
    """How one learner did in one epoch.

    Attributes:
        label: short name for a person.
        terms: mean of every weighted loss term.
        top1: accuracy in percent on the evaluated split.
        error: why it left the group, if it did.
        identity: of its run.
    """

    label: str
    terms: Mapping[str, float]
    top1: float | None
    error: str | None = None
    identity: str = ""


@dataclass(frozen=True)
class Planned:
    """A run that is to be trained.

    Attributes:
        identity: tells it from all others; ``LearnerEpoch`` and ``Listener.recorded`` have it too.
        label: short name for a person.
        cell: name of its record, ``sketchbirds/resnet14__resnet8/kd/seed0``.
        spec: what it is, as its record's ``spec`` will say it.
    """

    identity: str
    label: str
    cell: str
    spec: Mapping[str, Any]


class Listener:
    """A listener that shows nothing."""

    @property
    def shows(self) -> bool:
        """Whether a person watches and others, as the hub's client, may draw bars of their own."""
        return False

    def planned(self, runs: Sequence[Planned]) -> None:
        """These runs are to be trained; told once, before anything else."""

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

    def run_left(self, label: str, outcome: str) -> None:
        """A run is left without a record: stopped, disturbed, or a run below it has no result."""
        self.run_finished(label, outcome)

    def recorded(self, identity: str, record: Mapping[str, Any]) -> None:
        """The record of a run was written: as plain data, as its file has it."""

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


class Several(Listener):
    """Listeners that all hear the same, in their order.

    Args:
        listeners: who hears.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def __getattribute__(self, name: str) -> Any:
        """A part of all of them."""
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        parts = [getattr(listener, name) for listener in self._listeners]
        if name == "shows":
            return any(parts)
        if name == "beside":
            return partial(_beside, parts)
        return partial(_progress if name == "progress" else _told, parts)


def _told(parts: Iterable[Callable[..., None]], *words: Any, **named: Any) -> None:
    for part in parts:
        part(*words, **named)


def _beside(parts: Iterable[Callable[..., Listener]], group: int) -> Listener:
    return Several(*(part(group) for part in parts))


@contextmanager
def _progress(
    parts: Iterable[Any], title: str, total: int | None
) -> Iterator[Callable[[int], None]]:
    with ExitStack() as stack:
        bars = [stack.enter_context(part(title, total)) for part in parts]
        yield partial(_told, bars)
