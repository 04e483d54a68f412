"""Which networks, and which runs first: without torch, so that plans can be made without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.errors import RecipeError, UsageError


@dataclass(frozen=True)
class Pair:
    """A teacher and a student, written ``teacher:student``."""

    teacher: str
    student: str

    def __str__(self) -> str:
        return f"{self.teacher}:{self.student}"

    @classmethod
    def parse(cls, text: str) -> Pair:
        """Read ``teacher:student``.

        Raises:
            UsageError: there is not exactly one colon with a name on each side.
        """
        names = text.split(":")
        if len(names) != 2 or not all(names):
            raise UsageError(
                f"'{text}' is not a pair. Write teacher:student, e.g. resnet32x4:resnet8x4."
            )
        return cls(*names)


@dataclass(frozen=True)
class Role:
    """A run that must be trained first: which network, minimising what.

    Attributes:
        draw: 0 for a run with the seed of the run that needs it, which starts from the same weights
            and sees the same batches as any run of that network with that seed. Every larger
            number is a seed of its own, and so an independent draw.

    Raises:
        RecipeError: the draw is a negative number.
    """

    network: str
    recipe: str = "vanilla"
    settings: Mapping[str, Any] = field(default_factory=dict)
    draw: int = 0

    def __post_init__(self) -> None:
        if self.draw < 0:
            raise RecipeError(f"a role's draw is 0, 1, 2 and so on, not {self.draw}.")
