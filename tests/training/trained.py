"""Train jobs as a group, stop them on the way, compare what they became."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmark.data.splits import DataSet
from benchmark.events import Listener
from benchmark.training.checkpoint import Workspace
from benchmark.training.learner import Job
from benchmark.training.loop import Group, Seat, train


class Deadline(Listener):
    """Lets time run out when an epoch has started."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.group: Group | None = None

    def epoch_started(self, epoch: int, images: int) -> None:
        if epoch == self.epoch and self.group is not None:
            self.group.deadline = time.monotonic()


def run(
    jobs: list[Job],
    data: DataSet,
    accelerator: Accelerator,
    folder: Path,
    *,
    stop_in: int | None = None,
    source: str = "s",
) -> list[Seat]:
    listener = Deadline(stop_in) if stop_in else Listener()
    seats = [Seat(job, source) for job in jobs]
    group = Group(
        seats, data, accelerator=accelerator, workspace=Workspace(folder), listener=listener
    )
    if isinstance(listener, Deadline):
        listener.group = group
    train(group)
    return seats


def weights(seat: Seat) -> dict[str, torch.Tensor]:
    assert seat.learner is not None
    return seat.learner.lesson.state_dict()


def assert_same(first: Seat, second: Seat) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert different == []
    assert first.scores == second.scores
