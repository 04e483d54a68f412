"""What albumentations would do to an image, found out without its pixels.

Draws are a function of (seed, epoch, position, view), and here they are those of the worker
processes: the same generators, begun at the same seed, are asked by albumentations itself, in the
same order. An image that is augmented on the device therefore shows the same crop, the same way
round, in the same light as in a worker; only the rounding of its pixels is another. Measured with
the augmentation of CUB: 30 µs an image.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np

from benchmark.cards.transforms import ColorJitter, HorizontalFlip, RandomResizedCrop
from benchmark.data.loaders.batches import sample_seed
from benchmark.data.loaders.resampling import LINEAR, way_of
from benchmark.data.loaders.workers import has_size, make_compose
from benchmark.data.pictures import Pictures
from benchmark.data.shrink import short_side
from benchmark.data.splits import ImageSplit


class Window(NamedTuple):
    """The part of an image that is seen, and how large.

    Attributes:
        top, left, height, width: of the crop in the image, pixels.
        full_height, full_width: to what size the crop is brought.
        first_row, first_column: where in that the picture begins, which is S pixels high and wide.
        way: of resampling, see ``resampling.py``.
    """

    top: int
    left: int
    height: int
    width: int
    full_height: int
    full_width: int
    first_row: int
    first_column: int
    way: int


class Colours(NamedTuple):
    """Factors of brightness, contrast and saturation, the turn of the hue, and their order."""

    factors: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)
    order: tuple[int, int, int, int] = (0, 1, 2, 3)


class Draw(NamedTuple):
    """What happens to one image."""

    window: Window
    mirrored: bool = False
    colours: Colours = Colours()


def has_twins(pictures: Pictures) -> bool:
    """Whether all that happens to training pictures can happen on the device."""
    kinds = [type(transform) for transform in pictures.augmentation]
    if not set(kinds) <= {RandomResizedCrop, HorizontalFlip, ColorJitter}:
        return False
    return len(set(kinds)) == len(kinds) and RandomResizedCrop not in kinds[1:]


class Draws:
    """Draws for the images of a split.

    Args:
        split: whether its images all have the pictures' size decides whether they are fitted.
        pictures: give size and augmentation; every transform must have a twin.
        seed: of the augmentation.
        train: otherwise images are resized, and cropped at the centre, as for testing.
    """

    def __init__(self, split: ImageSplit, pictures: Pictures, *, seed: int, train: bool) -> None:
        self._seed, self._size, self._fits = seed, pictures.size, not has_size(split, pictures.size)
        self._steps: list[tuple[object, Any]] = []
        if train and pictures.augmentation:
            self._compose = make_compose(split, pictures, train=True)
            ours = pictures.augmentation
            # What stands before them in the chain fits images to their size and draws nothing.
            twins = self._compose.transforms[-len(ours) :]
            self._steps = list(zip(ours, twins, strict=True))

    def of(self, height: int, width: int, *, epoch: int, position: int, view: int) -> Draw:
        """The draw for an image of so many pixels."""
        draw = Draw(self._whole(height, width))
        if not self._steps:
            return draw
        seed = sample_seed(self._seed, epoch, position, view)
        python = random.Random(seed)
        self._compose.set_random_state(np.random.default_rng(seed), python)
        python.random()  # by which the chain decides whether it happens at all; it always does
        for transform, twin in self._steps:
            if twin.should_apply():
                chosen = twin.get_params()
                chosen |= twin.get_params_dependent_on_data({"shape": (height, width, 3)}, {})
                draw = self._with(draw, transform, chosen)
        return draw

    def _with(self, draw: Draw, transform: object, chosen: dict[str, Any]) -> Draw:
        """A draw to which one transform is added."""
        match transform:
            case RandomResizedCrop():
                left, top, right, bottom = chosen["crop_coords"]
                crop, full = (bottom - top, right - left), (self._size, self._size)
                way = way_of(crop, full, area=max(crop) > self._size)
                return draw._replace(window=Window(top, left, *crop, *full, 0, 0, way))
            case HorizontalFlip():
                return draw._replace(mirrored=True)
            case _:
                names = "brightness", "contrast", "saturation", "hue"
                bright, contrasting, saturated, turned = (chosen[name] for name in names)
                factors = bright, contrasting, saturated, turned
                return draw._replace(colours=Colours(factors, tuple(chosen["order"])))

    def _whole(self, height: int, width: int) -> Window:
        """The middle of an image, as ``SmallestMaxSize`` and ``CenterCrop`` take it."""
        crop, size = (height, width), self._size
        if not self._fits:
            return Window(0, 0, *crop, *crop, 0, 0, LINEAR)
        scale = short_side(size) / min(crop)
        full = max(1, round(height * scale)), max(1, round(width * scale))
        first = (full[0] - size) // 2, (full[1] - size) // 2
        if full == crop:  # as most are that were shrunk before they were kept
            return Window(*first, size, size, size, size, 0, 0, LINEAR)
        return Window(0, 0, *crop, *full, *first, way_of(crop, full, area=scale < 1))
