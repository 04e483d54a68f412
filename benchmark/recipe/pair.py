"""A pair of networks, as it is written; without torch, so that plans can be made without it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.errors import UsageError


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
