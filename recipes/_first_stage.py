"""Methods that begin with a stage of their own, as long as the field's benchmark makes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, PositiveFloat
from torch import nn

from benchmark import Batch, Network, Outputs, Stage, Terms

from ._with_kd import WithKD


class WithFirstStage(WithKD):
    """First ``first_terms`` alone, then what ``WithKD`` says."""

    first_stage: Annotated[float, Field(gt=0, le=1)] = 1 / 8  # of the epochs, on top of them
    first_rate: PositiveFloat = 1.0  # of the protocol's learning rate

    def stages(self) -> tuple[Stage, ...]:
        first = Stage("first", self.first_stage, self.first_terms, self.rest_first, self.first_rate)
        return first, Stage("main", 1.0, self.forward, self.rest_later)

    @abstractmethod
    def first_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        """The weighted terms of the first stage."""

    def rest_first(self, student: Network) -> Sequence[nn.Module]:
        """What the first stage does not train: the classifier, unless it says otherwise."""
        return [student.classifier]

    def rest_later(self, student: Network) -> Sequence[nn.Module]:
        """What the main stage does not train."""
        return []

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        """The terms of the main stage; the method may be over by then."""
        return {}
