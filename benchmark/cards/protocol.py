"""The protocol of a training: for how long and how, from which weights, at which image size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from benchmark.cards.fields import Share
from benchmark.strict import Strict

_STEPS = ("milestones", "gamma")
"""What a step schedule has and a cosine has not."""


class Protocol(Strict):
    """How long and how one trains.

    Attributes:
        name: as written in the card, with the overrides in brackets.
        epochs: passes over the training set.
        batch_size: images of a step over all processes.
        lr: learning rate after warm-up.
        lr_by_network: learning rates of networks that need another one.
        schedule: ``step`` multiplies by ``gamma`` at ``milestones`` (epochs); ``cosine`` falls to
            zero at the end.
        warmup_epochs: the learning rate rises linearly for so long.
        validation: share of the training set that is held out and evaluated on instead of the
            test set, for tuning.
        evaluate_every: epochs from one evaluation to the next; the last epoch always has one.
        ranked: whether the leaderboard ranks it.
        image_size: height and width in pixels that the networks see, instead of the card's.
        pretrained: whether the networks start from published weights.
        pairs: ``teacher:student``, the usual ones of this protocol, instead of the card's.
    """

    name: str
    epochs: Annotated[int, Field(gt=0)]
    batch_size: Annotated[int, Field(gt=0)]
    lr: Annotated[float, Field(gt=0)]
    lr_by_network: dict[str, float] = Field(default_factory=dict)
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: Literal["step", "cosine"] = "step"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    validation: Share = 0.0
    evaluate_every: Annotated[int, Field(gt=0)] = 1
    ranked: bool = False
    image_size: Annotated[int, Field(gt=0)] | None = None
    pretrained: bool = False
    pairs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _milestones_fit(self) -> Protocol:
        if self.schedule == "step" and list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        if self.schedule == "cosine" and self.milestones:
            raise ValueError("a cosine schedule has no milestones")
        return self

    @property
    def unused(self) -> tuple[str, ...]:
        """Settings that have no meaning under this schedule."""
        return _STEPS if self.schedule == "cosine" else ()

    def for_network(self, network: str) -> dict[str, Any]:
        """What of the protocol changes the result of this network: the part of its identity."""
        names_and_choices = {"lr_by_network", "evaluate_every", "ranked", "name", "pairs"}
        values = self.model_dump(exclude=names_and_choices | set(self.unused))
        values["lr"] = self.lr_by_network.get(network, self.lr)
        # These two came later than the first records, whose identities must stay what they are:
        # they are there only where they are set.
        if self.image_size is None:
            del values["image_size"]
        if not self.pretrained:
            del values["pretrained"]
        return values
