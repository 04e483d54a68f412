"""Train jobs as a group, stop them on the way, compare what they became."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmark.data.splits import DataSet
from benchmark.events import Listener
from benchmark.records.history import EpochRow
from benchmark.training.answers.answering import keep_answers
from benchmark.training.answers.keep import Keep
from benchmark.training.ending import Ending, Failed, Finished
from benchmark.training.group import Group
from benchmark.training.halt import Halt
from benchmark.training.job import Job
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.loop import train
from benchmark.training.member import Member


class Deadline(Listener):
    """Lets time run out when an epoch has started."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.group: Group | None = None

    def epoch_started(self, epoch: int, images: int) -> None:
        if epoch == self.epoch and self.group is not None:
            self.group.pauses.halt = Halt(time.monotonic())


class Asked(Listener):
    """Asks for a stop after some steps, and keeps what was said."""

    def __init__(self, steps: int | None = None) -> None:
        self.left, self.notes = steps, list[str]()
        self.halt = Halt()

    def images_done(self, images: int) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.halt.ask()

    def note(self, message: str) -> None:
        self.notes.append(message)


@dataclass(frozen=True)
class Trained:
    """A job, how it ended, and what was a member of the group, if it could begin."""

    ending: Ending
    member: Member | None

    @property
    def finished(self) -> Finished:
        assert isinstance(self.ending, Finished)
        return self.ending

    @property
    def failed(self) -> Failed:
        assert isinstance(self.ending, Failed)
        return self.ending


def group_of(
    jobs: list[Job], data: DataSet, accelerator: Accelerator, folder: Path, listener: Listener
) -> Group:
    return Group(
        jobs, data, accelerator=accelerator, workspace=Workspace(folder), listener=listener
    )


def run_until(
    jobs: list[Job],
    data: DataSet,
    accelerator: Accelerator,
    folder: Path,
    *,
    steps: int | None = None,
    checkpoint_s: float = 60.0,
    listener: Asked | None = None,
    compiled: bool = False,
    keep: Keep | None = None,
) -> list[Trained]:
    """Train until a stop is asked for, or to the end."""
    listener = listener or Asked(steps)
    group = Group(
        jobs, data, accelerator=accelerator, workspace=Workspace(folder), listener=listener,
        halt=listener.halt, checkpoint_s=checkpoint_s, compiled=compiled,
    )  # fmt: skip
    keep_answers(group, keep)
    if group.stand.step and listener.left is not None:
        listener.left += 1  # the steps that are passed over are told as well
    members = {member.job.identity: member for member in group.members}
    endings = train(group)
    return [Trained(endings[job.identity], members.get(job.identity)) for job in jobs]


def run(
    jobs: list[Job],
    data: DataSet,
    accelerator: Accelerator,
    folder: Path,
    *,
    stop_in: int | None = None,
) -> list[Trained]:
    listener = Deadline(stop_in) if stop_in else Listener()
    group = group_of(jobs, data, accelerator, folder, listener)
    if isinstance(listener, Deadline):
        listener.group = group
    members = {member.job.identity: member for member in group.members}
    endings = train(group)
    return [Trained(endings[job.identity], members.get(job.identity)) for job in jobs]


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    assert trained.member is not None
    return trained.member.learner.lesson.state_dict()


def assert_same(first: Trained, second: Trained) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert different == []
    assert first.finished.metrics == second.finished.metrics


def assert_same_but_for_time(first: Trained, second: Trained) -> None:
    """Weights, scores, history and counts; what is measured with a clock differs."""
    assert_same(first, second)
    histories = [[_timeless(row) for row in t.finished.history] for t in (first, second)]
    assert histories[0] == histories[1]
    costs = [
        (t.finished.cost.forwards_per_image, t.finished.cost.backwards_per_image)
        for t in (first, second)
    ]
    assert costs[0] == costs[1]


def _timeless(row: EpochRow) -> EpochRow:
    return replace(row, seconds=0.0, images_per_s=0.0)
