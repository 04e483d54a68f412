"""How a member of a group ended: finished, failed, stopped, or disturbed from outside."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from benchmark.records.history import EpochRow
from benchmark.records.schema import Cost, Failure, Metrics, Status
from benchmark.training.faults import disturbance, is_out_of_memory, printable, words_of
from benchmark.training.job import TaughtBy

MESSAGE_LENGTH = 2_000  # characters: what a person reads of it, and what a record should weigh
KIND_LENGTH = 200
TRACEBACK_LENGTH = 100_000  # kept beside the run for its author, not in the record


@dataclass(frozen=True)
class Finished:
    """It has all its epochs and its scores.

    Attributes:
        metrics: of the last epoch.
        cost: sizes and times.
        history: one row an epoch; empty for weights that were brought.
        weights: of the network, on the CPU, by their names in its state dict; empty for weights
            that were brought, which stay where they are.
        taught_by: the weights that it built on, by the identity of the run that gave them.
        layers: of the recipe that its prediction uses, see ``keeping.deployment``.
        class_names: by label.
        said: (2, K), logits of the images that every network is asked of; None for weights that
            were brought.
    """

    metrics: Metrics
    cost: Cost
    history: tuple[EpochRow, ...] = ()
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    taught_by: Mapping[str, TaughtBy] = field(default_factory=dict)
    layers: Mapping[str, Tensor] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    said: Tensor | None = None


@dataclass(frozen=True)
class Failed:
    """It has no result, and training it again would not give one unless something changes.

    Attributes:
        status: as the record says it: ``failed``, ``diverged``, ``oom`` or ``timeout``.
        failure: kind, message, place and epoch (from 1); of bounded length and printable.
        traceback: the exception with all its lines, for the author; empty if there was none.
    """

    status: Status
    failure: Failure
    traceback: str = ""


@dataclass(frozen=True)
class Stopped:
    """Its time was up, or someone asked; it continues from its checkpoint.

    Attributes:
        epochs: that it has behind it.
        of: all that it has to train.
        step: steps that it has behind it in the epoch after them.
    """

    epochs: int
    of: int
    step: int = 0


@dataclass(frozen=True)
class Disturbed:
    """Its surroundings failed: a full disk, a dead data worker, a broken terminal.

    That is no result of a method: nothing is recorded, and the run stays open.

    Attributes:
        reason: what happened, for a person.
        lasting: whether it will happen again until someone does something about it.
    """

    reason: str
    lasting: bool


Ending = Finished | Failed | Stopped | Disturbed


def diverged(epoch: int, message: str) -> Failed:
    """The numbers ran away in an epoch (from 1)."""
    failure = Failure(kind="Divergence", message=message, where="training", epoch=epoch)
    return Failed("diverged", failure)


def timed_out(epoch: int, message: str) -> Failed:
    """Its own share of the time was used up in an epoch (from 1)."""
    failure = Failure(kind="Timeout", message=message, where="training", epoch=epoch)
    return Failed("timeout", failure)


def ended(error: BaseException, epoch: int) -> Failed | Disturbed:
    """How all end whose training an exception ended that was no member's own.

    Args:
        error: as it was caught.
        epoch: from 1.
    """
    if (what := disturbance(error)) is not None:
        return Disturbed(*what)
    return failed(error, epoch)


def failed(error: BaseException, epoch: int, files: Sequence[str] = ()) -> Failed:
    """An exception by its own words, and where it was raised.

    Args:
        error: as it was caught.
        epoch: from 1.
        files: of the recipe, its author's own first: the innermost line of the first one that had
            a part in it is where to look. Without one it is the innermost line of no library.
    """
    return Failed(
        "oom" if is_out_of_memory(error) else "failed",
        Failure(
            kind=printable(type(error).__name__, KIND_LENGTH),
            message=printable(words_of(error), MESSAGE_LENGTH),
            where=printable(_where(error, files), KIND_LENGTH),
            epoch=epoch,
        ),
        traceback=_traceback_of(error),
    )


def _where(error: BaseException, files: Sequence[str]) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    for file in files:
        if theirs := [frame for frame in frames if frame.filename == file]:
            ours = theirs
            break
    if ours:
        return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return Path(files[0]).name if files else "unknown"


def _traceback_of(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # an exception's own methods are code of whoever wrote it
        return ""
    return printable(text, TRACEBACK_LENGTH, keep_end=TRACEBACK_LENGTH * 3 // 4)
