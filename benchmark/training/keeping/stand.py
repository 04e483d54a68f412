"""Where a run stands in its training, and which runs can go on side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Stand:
    """A place between two steps of a training.

    Attributes:
        epoch: finished epochs.
        step: steps of the next one that are done; all of them if it is not evaluated yet.
    """

    epoch: int = 0
    step: int = 0

    def __str__(self) -> str:
        """As a person says it."""
        return f"epoch {self.epoch}" + (f", step {self.step}" if self.step else "")


BEGINNING = Stand()


def common_stand(stands: Sequence[Collection[Stand]]) -> Stand | None:
    """The newest place at which all runs can go on; None if there is none.

    Args:
        stands: of each run, the places at which it can.
    """
    common = set.intersection(*map(set, stands)) if stands else {BEGINNING}
    return max(common, default=None)


def side_by_side(runs: Sequence[tuple[T, Collection[Stand]]]) -> list[list[T]]:
    """Runs in parts that can go on from one place each, as few as a simple search finds.

    Runs of one group stand at different places when it was killed between two of their
    checkpoints, when the newest one of a run is damaged, or when runs are new.

    Args:
        runs: each with the places at which it can go on, at least one.
    """
    parts = []
    left = list(runs)
    while left:
        many = Counter(stand for _, stands in left for stand in set(stands))
        place = max(many, key=lambda stand: (many[stand], stand))
        parts.append([run for run, stands in left if place in stands])
        left = [(run, stands) for run, stands in left if place not in stands]
    return parts
