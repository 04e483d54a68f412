"""The training loop: each batch once, each teacher once, every member of the group one step.

Claim: a group costs less than its members trained apart and gives each of them the same weights,
bit for bit on the CPU. It holds because every random choice is a function of (seed, epoch, sample)
in the data and of (seed, step) in a learner, so no learner can disturb another.

Evidence: ``tests/training/test_loop.py`` trains both ways and compares, and so for a training that
is stopped after any step and continued. ``python -m tests.race`` measures the saving: vanilla, kd,
th-kd and crd together were 1.23 times as fast as one after the other, 1.28 times if compiled (8 s
on each of two cores; resnet20→resnet8 on CIFAR-100, batches of 64, float32, one thread of an AMD
EPYC with AVX-512 whose other core was busy; more in ``docs/speed.md``). The clock includes loading,
augmentation, teacher, losses and updates; it excludes evaluation, checkpoints and the first six
seconds. The saving grows with the teacher's share of a step.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.training.ending import Ending
from benchmark.training.group import Group


def train(group: Group) -> Mapping[str, Ending]:
    """Train a group to its end, or until it is stopped; how each member ended, by identity."""
    steps = len(group.loader)
    for epoch, first in group.remaining_epochs():
        for number, loaded in enumerate(group.loader.epoch(epoch, first=first), start=first):
            at, count = epoch + (number + 0.5) / steps, epoch * steps + number
            group.batch(loaded, count=count)
            for member in group.members:
                with group.turn(member.job) as batch:
                    member.learner.step(
                        batch, group.teachers, weight=loaded.weight, at=at, count=count
                    )
            group.listener.images_done(loaded.global_size)
            if group.stops_after(number + 1):
                return group.endings
        group.finish(epoch)
    return group.endings
