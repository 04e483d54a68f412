"""One batch as recipes see it, and what they make of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from benchmark.networks.outputs import Outputs

Terms = dict[str, Tensor]
Heard = Outputs | Mapping[str, Outputs] | None
"""What a recipe's teachers say: of one, of several by role, or nothing."""


@dataclass(frozen=True)
class Batch:
    """One batch as a recipe sees it.

    Attributes:
        images: (B, 3, H, W), normalised.
        labels: (B,) int64, classes; or (B, K) floating point, distributions over the classes.
            ``cross_entropy`` takes both alike.
        index: (B,) int64, positions in the training set.
        progress: share of the training, or of the stage, that is done, in [0, 1].
        views: the same images augmented once more, each (B, 3, H, W); as many as the recipe's
            ``views`` asks for, less one.
        class_count: number of classes K.
        draw: seed of the random choices of this step, the same for all members of a group.
        shared: what members of a group make of the batch once for all, by what it is.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    progress: float
    views: tuple[Tensor, ...] = ()
    class_count: int = 0
    draw: int = 0
    shared: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def classes(self) -> Tensor:
        """(B,) int64, the class of every image; of a distribution it is the most probable one."""
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(dim=1)
