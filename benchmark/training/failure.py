"""Why a learner left its group, in words for a record."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch


@dataclass(frozen=True)
class Trouble:
    """What went wrong.

    Attributes:
        status: as the record says it.
        kind: class of the error.
        message: its text.
        where: file and line that raised it.
        epoch: in which it happened, from 1.
    """

    status: Literal["failed", "diverged", "oom", "timeout"]
    kind: str
    message: str
    where: str
    epoch: int


def diverged(epoch: int, message: str) -> Trouble:
    """The numbers ran away."""
    return Trouble("diverged", "Divergence", message, "training", epoch)


def trouble_of(error: BaseException, epoch: int) -> Trouble:
    """Describe an exception by its own words and its innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    ours = [f for f in frames if "site-packages" not in f.filename]
    if ours:
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    oom = isinstance(error, torch.OutOfMemoryError | MemoryError)
    message = str(error).strip() or type(error).__name__
    return Trouble("oom" if oom else "failed", type(error).__name__, message, where, epoch)
