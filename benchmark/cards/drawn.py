"""The source of a card whose images a program draws: the sketches of ``benchmark/sketches``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from benchmark.cards.fields import MOST_CLASSES
from benchmark.strict import Line, Strict

_MOST_IMAGES = 10_000_000


class DrawnSource(Strict):
    """Images that a program draws at first use.

    Attributes:
        revision: raised by hand when the drawing changes.
        families: number of body plans.
        species: number of species in each family.
        train_per_class: training images of each class.
        test_per_class: test images of each class.
        seed: of the drawing.
    """

    kind: Literal["drawn"]
    revision: Line
    families: Annotated[int, Field(gt=0, le=MOST_CLASSES)]
    species: Annotated[int, Field(gt=0, le=MOST_CLASSES)]
    train_per_class: Annotated[int, Field(gt=0, le=_MOST_IMAGES)]
    test_per_class: Annotated[int, Field(gt=0, le=_MOST_IMAGES)]
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]

    def check_classes(self, classes: int) -> None:
        """Refuse a card that counts other classes than are drawn.

        Raises:
            ValueError: families times species are not as many.
        """
        if self.families * self.species != classes:
            raise ValueError(
                f"{self.families} families of {self.species} species are not {classes} classes"
            )
