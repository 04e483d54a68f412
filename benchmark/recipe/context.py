"""What a recipe is told of networks and data: before anything is trained, and when it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from benchmark.errors import RecipeError
from benchmark.networks.outputs import Network, NetworkShape


@dataclass(frozen=True)
class Shapes:
    """The shapes of the networks that a recipe is to combine.

    Attributes:
        student: of the network that is trained.
        maybe_teacher: of the network of role ``teacher``; None if the recipe has none.
    """

    student: NetworkShape
    maybe_teacher: NetworkShape | None

    @property
    def teacher(self) -> NetworkShape:
        """Of the network of role ``teacher``.

        Raises:
            RecipeError: the recipe has no such role.
        """
        if self.maybe_teacher is None:
            raise RecipeError(
                "this recipe has no teacher, and asks for the teacher's shape. Let roles() name a "
                "'teacher', or do without."
            )
        return self.maybe_teacher


@dataclass(frozen=True)
class Proposal(Shapes):
    """What a recipe may refuse: known before anything is trained or loaded.

    The shapes are those of the plain networks, as they are before any ``adapt``; the number of
    classes is ``student.classes``.

    Attributes:
        images: number of training images, as the data set's card says.
    """

    images: int


@dataclass(frozen=True)
class Context(Shapes):
    """What a recipe builds its layers from.

    Attributes:
        labels: (N,) int64, the class of every training sample by position.
        roles: the trained networks by role, in eval mode and frozen.
        maybe_network: the network that is trained, as ``adapt`` left it; None in ``before``, which
            may not depend on its initial weights.
        known: what ``before`` gave, by name.
    """

    labels: Tensor
    roles: Mapping[str, Network] = field(default_factory=dict)
    maybe_network: Network | None = None
    known: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """The network that is trained, before its first step.

        Raises:
            RecipeError: it is asked for in ``before``.
        """
        if self.maybe_network is None:
            raise RecipeError(
                "before() has no network that is trained: what it finds is kept for every seed. "
                "Ask for context.network in build()."
            )
        return self.maybe_network
