"""The training loop: each batch once, each teacher once, every member of the group one step.

Claim: a group costs less than its members trained apart and gives each of them the same weights,
bit for bit on the CPU. Evidence: ``tests/training/test_loop.py`` trains both ways and compares, and
so for an interrupted and continued training; ``kdbench speed`` measures the saving on this machine.
It holds because every random choice is a function of (seed, epoch, sample) in the data and of
(seed, step) in a learner, so no learner can disturb another.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.training.ending import Ending
from benchmark.training.group import Group


def train(group: Group) -> Mapping[str, Ending]:
    """Train a group to its end, or until its time is up; how each member ended, by identity."""
    steps = len(group.loader)
    for epoch in group.remaining_epochs():
        for number, loaded in enumerate(group.loader.epoch(epoch)):
            at, count = epoch + (number + 0.5) / steps, epoch * steps + number
            batch = group.batch(loaded, count=count)
            for member in group.members:
                with group.guarding(member.job):
                    member.learner.step(
                        batch, group.teachers, weight=loaded.weight, at=at, count=count
                    )
            group.listener.images_done(loaded.global_size)
        group.finish(epoch)
    return group.endings
