"""How a member of a group ended: finished, failed, stopped, or disturbed from outside."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from benchmark.records.history import EpochRow
from benchmark.records.schema import Cost, Failure, Metrics, Status
from benchmark.training.job import TaughtBy


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
    """

    metrics: Metrics
    cost: Cost
    history: tuple[EpochRow, ...] = ()
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    taught_by: Mapping[str, TaughtBy] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """It has no result, and training it again would not give one unless something changes.

    Attributes:
        status: as the record says it: ``failed``, ``diverged`` or ``oom``.
        failure: kind, message, place and epoch (from 1).
    """

    status: Status
    failure: Failure


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


def failed(error: BaseException, epoch: int) -> Failed:
    """An exception by its own words and its innermost line that is no library's."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "unknown"
    return Failed(
        "oom" if isinstance(error, torch.OutOfMemoryError | MemoryError) else "failed",
        Failure(
            kind=type(error).__name__,
            message=str(error).strip() or type(error).__name__,
            where=where,
            epoch=epoch,
        ),
    )
