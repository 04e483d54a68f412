"""From image files to the pixels that a trained network is shown, as its test images were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.cards.card import Card, DrawnSource, HubSource
from benchmark.data.decoding import read_image
from benchmark.data.loaders.workers import fitting
from benchmark.data.pictures import Pictures
from benchmark.data.shrink import short_side
from benchmark.errors import DataError


@dataclass(frozen=True)
class View:
    """How an image is brought to a network's size.

    Attributes:
        size: height and width in pixels that the network sees, cut from the centre.
        short: the image's short side before. It is the size itself where all images of the data set
            have it: then nothing is cut from them.
    """

    size: int
    short: int

    @classmethod
    def of(cls, card: Card, pictures: Pictures) -> View:
        """As a data set's test images are seen."""
        one_size = isinstance(card.source, DrawnSource) or (
            isinstance(card.source, HubSource) and not card.source.mixed_sizes
        )
        whole = one_size and pictures.size == card.image_size
        return cls(pictures.size, pictures.size if whole else short_side(pictures.size))

    def see(self, paths: Sequence[Path]) -> Iterator[Tensor | DataError]:
        """Pixels uint8 (S, S, 3) of each file, or why there are none."""
        fit = fitting(self.size, self.short)
        for path in paths:
            try:
                pixels = fit(image=read_image(path))["image"]
            except DataError as error:
                yield error
            else:
                yield torch.from_numpy(np.array(pixels, order="C"))


def as_pixels(images: Sequence[Tensor]) -> Tensor:
    """Images uint8 (S, S, 3) as a program takes them: float32 (B, 3, S, S) in [0, 1]."""
    return torch.stack(list(images)).permute(0, 3, 1, 2).float().div(255).contiguous()
