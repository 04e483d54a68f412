"""The random choices of a card's transforms for images that lie on the device.

Each transform of a card has a twin for worker processes (``benchmark/data/loaders/workers.py``),
and the simple ones have a second twin here, drawn for a whole epoch at once. Both draw from the
same distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.cards.transforms import HorizontalFlip, RandomCrop
from benchmark.data.loaders.batches import epoch_generator
from benchmark.data.pictures import Pictures


@dataclass(frozen=True)
class Choices:
    """What happens to every image of a split in one epoch.

    Attributes:
        top, left: (N,) int64, corner of the crop in the padded image.
        mirrored: (N,) bool.
    """

    top: Tensor
    left: Tensor
    mirrored: Tensor


@dataclass(frozen=True)
class ResidentAugmentation:
    """Random crop and mirroring, as a card asks for them.

    Attributes:
        padding: black pixels on each side before the crop; 0 for no crop.
        flip: probability of mirroring.
    """

    padding: int = 0
    flip: float = 0.0

    @classmethod
    def of(cls, pictures: Pictures) -> ResidentAugmentation | None:
        """The twin of the pictures' augmentation, None if one of its transforms has none here.

        The order of crop and mirroring does not matter: offsets are uniform and the padding is
        equal on all sides, so that either order gives the same distribution.
        """
        kinds = [type(transform) for transform in pictures.augmentation]
        if not set(kinds) <= {RandomCrop, HorizontalFlip} or len(set(kinds)) < len(kinds):
            return None
        padding, flip = 0, 0.0
        for transform in pictures.augmentation:
            if isinstance(transform, RandomCrop):
                padding = transform.padding
            elif isinstance(transform, HorizontalFlip):
                flip = transform.p
        return cls(padding, flip)

    def draw(self, images: int, *, seed: int, epoch: int, view: int = 0) -> Choices:
        """Choose for every position of a split of so many images, for one view of them."""
        again = f"{view}" if view else ""
        corners = torch.randint(
            2 * self.padding + 1,
            (2, images),
            generator=epoch_generator(seed, epoch, f"crop{again}"),
        )
        uniform = torch.rand(images, generator=epoch_generator(seed, epoch, f"flip{again}"))
        return Choices(corners[0], corners[1], uniform < self.flip)
