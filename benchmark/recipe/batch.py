"""One batch as recipes see it, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from torch import Tensor

from benchmark.networks.outputs import Outputs

Terms = dict[str, Tensor]
Heard = Outputs | Mapping[str, Outputs] | None
"""What a recipe's teachers say: of one, of several by role, or nothing."""


@dataclass
class Shelf:
    """What members of a group make of a batch once for all of them.

    Attributes:
        making: something is made in it: whoever asks first, it is the same.
        made: called with what was made.
    """

    making: Callable[[], AbstractContextManager[None]] = nullcontext
    made: Callable[[Batch], None] = lambda batch: None
    _batches: dict[Hashable, tuple[tuple[Tensor, ...], Batch]] = field(default_factory=dict)

    def get(self, what: Hashable, of: tuple[Tensor, ...], make: Callable[[], Batch]) -> Batch:
        """What was made of some tensors, or is made now."""
        key = (what, *map(id, of))
        if key not in self._batches:
            with self.making():
                batch = make()
            self.made(batch)
            # What it was made of is kept, so that no other tensors get its ids.
            self._batches[key] = of, batch
        return self._batches[key][1]


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
    shared: Shelf = field(default_factory=Shelf, compare=False, repr=False)

    @property
    def classes(self) -> Tensor:
        """(B,) int64, the class of every image; of a distribution it is the most probable one."""
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(dim=1)
