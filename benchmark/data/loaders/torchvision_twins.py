"""Worker twins that torchvision makes: RandAugment, TrivialAugment, random erasing.

albumentations 2.0.8 has no RandAugment and no TrivialAugment, and its ``Erasing`` draws another
ratio and never more than the smallest ratio times the area. torchvision's are those that the
field's numbers were made with. They read torch's global generator, which the loader sets for every
sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import v2

from benchmark.cards.transforms import RandAugment, RandomErasing, TrivialAugment

RESAMPLING = v2.InterpolationMode.BILINEAR  # as in torchvision's reference trainings


class Augment:
    """RandAugment or TrivialAugment on pixels uint8 (S, S, 3).

    On pictures of Pillow, which torchvision turns and shears in three quarters of the time that it
    needs for tensors (RandAugment at 224 pixels, torchvision 0.29, one Xeon core: 0.9 ms of 1.2).
    """

    def __init__(self, transform: RandAugment | TrivialAugment) -> None:
        self._transform: v2.Transform = (
            v2.RandAugment(transform.layers, transform.magnitude, interpolation=RESAMPLING)
            if isinstance(transform, RandAugment)
            else v2.TrivialAugmentWide(interpolation=RESAMPLING)
        )

    def __call__(self, image: NDArray[np.uint8], **unused: object) -> NDArray[np.uint8]:
        """One image; albumentations hands its other parameters over as well."""
        return np.asarray(self._transform(Image.fromarray(image)))


class Erase:
    """Random erasing on pixels uint8 (S, S, 3).

    Args:
        transform: says how often and how much.
        mean: of pixels in [0, 1], by channel: the colour of what is erased.
    """

    def __init__(self, transform: RandomErasing, mean: Sequence[float]) -> None:
        colour = [round(255 * value) for value in mean]
        self._transform = v2.RandomErasing(
            transform.p, transform.scale, transform.ratio, value=colour
        )

    def __call__(self, image: NDArray[np.uint8], **unused: object) -> NDArray[np.uint8]:
        """One image; albumentations hands its other parameters over as well."""
        # A copy: torch warns of memory that may not be written, and an image may lie in a file.
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        erased: NDArray[np.uint8] = self._transform(pixels).permute(1, 2, 0).numpy()
        return erased
