"""Parts of a training: stages in time, and parameters that are trained apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Batch, Terms


def _none_rest(network: Network) -> Iterable[nn.Module]:
    return ()


@dataclass(frozen=True)
class Stage:
    """A part of the training with a loss of its own.

    Attributes:
        name: one word for a person.
        share: its length as a share of the protocol's epochs; it is at least one epoch.
        terms: what is minimised in it, called like ``Recipe.forward``.
        rests: the modules of student and recipe that it does not train, given the student. They
            are in eval mode and without gradient.
        rate: its learning rate as a share of the protocol's base rate. The last stage follows the
            protocol's schedule; those before it keep their rate after the warm-up.
    """

    name: str
    share: float
    terms: Callable[[Batch, Outputs, Any], Terms]
    rests: Callable[[Network], Iterable[nn.Module]] = _none_rest
    rate: float = 1.0


@dataclass(frozen=True)
class Part:
    """Parameters with a learning rate or a weight decay of their own.

    Attributes:
        modules: whose parameters they are.
        rate: their learning rate as a share of the protocol's; it follows the schedule.
        decay: their weight decay instead of the protocol's; None is the protocol's.
    """

    modules: tuple[nn.Module, ...]
    rate: float = 1.0
    decay: float | None = None
