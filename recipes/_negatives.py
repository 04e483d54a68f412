"""Images of other classes, drawn anew for every image of a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.errors import RecipeError

RANDOM_BITS = 31


class OtherClasses(nn.Module):
    """Draws positions of training images of other classes.

    Positions are sorted by class and laid out twice in a row, so that the images of other classes
    stand in one piece behind each class. Draws are independent, with replacement. The authors'
    code draws in the loader's workers, without replacement where the other classes have enough
    images; the expected loss is the same.

    Args:
        labels: (N,) int64, the class of every training image.

    Attributes:
        fewest: number of images that every class has outside itself at least.

    Raises:
        RecipeError: all training images are of one class.
    """

    twice: Tensor
    start: Tensor
    available: Tensor

    def __init__(self, labels: Tensor) -> None:
        super().__init__()
        order, sizes = labels.argsort(stable=True), labels.bincount()
        self.fewest = int(len(labels) - sizes.max())
        if not self.fewest:
            raise RecipeError("CRD needs negatives, and all training images are of one class")
        self.register_buffer("twice", torch.cat([order, order]), persistent=False)
        self.register_buffer("start", sizes.cumsum(0)[labels], persistent=False)
        self.register_buffer("available", (len(labels) - sizes)[labels], persistent=False)

    def draw(self, index: Tensor, count: int) -> Tensor:
        """(B, count) positions for the images at ``index`` (B,), from torch's global generator.

        A random whole number below 2³¹ is scaled to the number of images there are, which is
        uniform up to a share of N / 2³¹.
        """
        room = torch.empty(len(index), count, dtype=torch.int32, device=index.device)
        bits = torch.ops.aten.random(room)  # as room.random_(), which does not compile
        steps = bits.long().mul_(self.available[index, None]).bitwise_right_shift_(RANDOM_BITS)
        places = steps.add_(self.start[index, None])
        return self.twice.index_select(0, places.flatten()).view_as(places)
