"""The pace of a group: how fast it trains, and how long it is examined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from benchmark.matrix.run import Run
from benchmark.strict import Strict

# What of a protocol leaves a step and its examination as long as they are.
_FREE = {
    "epochs", "lr", "momentum", "nesterov", "betas", "eps", "weight_decay", "decay_norms",
    "schedule", "milestones", "gamma", "min_lr", "warmup_epochs", "pretrained",
}  # fmt: skip
Amount = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]


class Source(StrEnum):
    """Where a pace is from; the best first."""

    trained = "trained here"
    measured = "measured here"
    records = "records"
    shares = "records of its members"
    arithmetic = "arithmetic"


class Pace(Strict):
    """How fast a group goes.

    Attributes:
        images_per_s: training images, each counted once for all members.
        examination_s: of one examination of all members.
        start_s: before the first epoch and behind the last: networks are built, teachers look at
            the evaluated images, weights are written.
        macs_per_image: multiply-accumulates of a training step for one image; 0 if not known.
        how: whether a group was trained, or its parts were measured for a few seconds.
        memory_mb: that it took at most; on the CPU an upper bound, of its process until then; 0 if
            not known.
    """

    images_per_s: Rate
    examination_s: Amount
    start_s: Amount
    macs_per_image: Amount = 0.0
    how: Literal["trained", "measured"] = "trained"
    memory_mb: Amount = 0.0


@dataclass(frozen=True)
class Estimate:
    """A pace with its source.

    Attributes:
        rough: whether it may be wrong by a factor.
    """

    pace: Pace
    source: Source
    rough: bool = False


@dataclass(frozen=True)
class Work:
    """What a group has to do.

    Attributes:
        epochs: that it trains, those of first stages among them.
        images: of one epoch.
        examinations: that it has.
    """

    epochs: int
    images: int
    examinations: int

    def seconds(self, pace: Pace) -> float:
        """How long it takes at a pace."""
        training = self.epochs * self.images / pace.images_per_s
        return pace.start_s + training + self.examinations * pace.examination_s


def work_of(run: Run, *, lead: int, done: int = 0) -> Work:
    """What a run, and with it its group, has to do.

    Args:
        run: one of the group.
        lead: epochs that its recipe trains before the protocol's own.
        done: epochs that it has behind it.
    """
    protocol = run.protocol
    examined = [
        epoch
        for epoch in range(1, protocol.epochs + 1)
        if lead + epoch > done
        and (epoch % protocol.evaluate_every == 0 or epoch == protocol.epochs)
    ]
    return Work(lead + protocol.epochs - done, images_of(run)[0], len(examined))


def images_of(run: Run) -> tuple[int, int]:
    """Numbers of images that are trained on in an epoch, and that are evaluated."""
    train, test = run.card.splits["train"], run.card.splits["test"]
    held_out = round(train * run.protocol.validation)
    return train - held_out, held_out or test


def kind_of(runs: Sequence[Run]) -> list[Mapping[str, Any]]:
    """What a group's pace depends on beside the machine: equal for groups of other seeds."""
    return sorted((_kind(run) for run in runs), key=str)


def _kind(run: Run) -> dict[str, Any]:
    spec = run.spec
    protocol = {name: v for name, v in spec.protocol_values.items() if name not in _FREE}
    return {
        "dataset": spec.dataset,
        "data_revision": spec.data_revision,
        "network": spec.network,
        "recipe": spec.recipe,
        "source": run.source,
        "settings": spec.settings,
        "protocol": protocol,
        "roles": {name: [role.network, role.recipe] for name, role in spec.roles.items()},
    }
