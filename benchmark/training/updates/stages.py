"""When the stages of a recipe begin and end.

Epochs are counted from the protocol's first one, so that stages before it have negative numbers:
in the protocol's own epochs every method sees the same batches, whatever came before.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.cards.card import Protocol
from benchmark.errors import RecipeError
from benchmark.recipe.contract import Recipe
from benchmark.recipe.stage import Stage
from benchmark.training.updates.schedule import learning_rate


@dataclass(frozen=True)
class Span:
    """A stage and its place in time.

    Attributes:
        stage: what is minimised, and what rests.
        start: its first epoch.
        epochs: its length.
    """

    stage: Stage
    start: int
    epochs: int

    @property
    def is_main(self) -> bool:
        """Whether it is the protocol's own training."""
        return self.start == 0

    def progress(self, at: float) -> float:
        """Share of the stage that is done at an epoch."""
        return (at - self.start) / self.epochs

    def rate(self, protocol: Protocol, network: str, at: float) -> float:
        """Learning rate at an epoch."""
        if self.is_main:
            return self.stage.rate * learning_rate(protocol, network, at)
        warm = min(1.0, (at - self.start) / protocol.warmup_epochs) if protocol.warmup_epochs else 1
        return self.stage.rate * warm * protocol.base_rate(network)


def spans_of(recipe: Recipe, protocol: Protocol) -> tuple[Span, ...]:
    """The stages of a recipe one after the other; the last one begins at epoch 0.

    Raises:
        RecipeError: the last stage is not the protocol's whole training, or one has no length or
            no rate.
    """
    stages = recipe.stages()
    if not stages or stages[-1].share != 1 or not all(s.share > 0 and s.rate > 0 for s in stages):
        raise RecipeError(
            f"recipe '{recipe.info.name}': the last of its stages must have the share 1, those "
            "before it more than 0, and every one a rate above 0."
        )
    *first, main = stages
    lengths = [max(1, round(stage.share * protocol.epochs)) for stage in first]
    start = -sum(lengths)
    spans = []
    for stage, epochs in zip(first, lengths, strict=True):
        spans.append(Span(stage, start, epochs))
        start += epochs
    return (*spans, Span(main, 0, protocol.epochs))


def lead_of(recipe: Recipe, protocol: Protocol) -> int:
    """Epochs that a recipe trains before the protocol's own."""
    return -spans_of(recipe, protocol)[0].start
