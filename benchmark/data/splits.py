"""Images and labels of a split, and a held-out part of the training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.cards.card import Card
from benchmark.data.decoding import ImageFile
from benchmark.data.pictures import Pictures
from benchmark.errors import UsageError


class ImageList(Protocol):
    """Images of different sizes that are decoded one by one when they are asked for."""

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        """One image (H, W, 3)."""
        ...

    def select(self, positions: Sequence[int]) -> ImageList:
        """Some of the images, in the given order."""
        ...


@runtime_checkable
class ImageFiles(ImageList, Protocol):
    """The same, where the files that the images were stored as are at hand."""

    def file(self, position: int, /) -> ImageFile:
        """One image, not decoded."""
        ...


@dataclass(frozen=True)
class ImageSplit:
    """The images of one split; a position is a number in 0 … N-1.

    Attributes:
        images: uint8, (N, H, W, 3) on the CPU, or a list where sizes differ.
        labels: (N,) int64.
    """

    images: Tensor | ImageList
    labels: Tensor

    def __len__(self) -> int:
        """The number of images N."""
        return len(self.labels)

    def select(self, positions: Tensor) -> ImageSplit:
        """The images at these positions, which are numbered anew from 0."""
        if isinstance(self.images, Tensor):
            return ImageSplit(self.images[positions], self.labels[positions])
        return ImageSplit(self.images.select(positions.tolist()), self.labels[positions])


@dataclass(frozen=True)
class DataSet:
    """A loaded data set that was checked against its card.

    Attributes:
        card: of the data set; names it and counts it.
        pictures: what networks see of it.
        class_names: by label.
        origin: for a person: where the data came from.
        version: tells one version of the files from another, for what is kept of their images.
    """

    card: Card
    pictures: Pictures
    train: ImageSplit
    test: ImageSplit
    class_names: tuple[str, ...]
    origin: str
    version: tuple[object, ...]


def hold_out(train: ImageSplit, share: float, seed: int) -> tuple[ImageSplit, ImageSplit]:
    """Take a validation part from a training set, the same share of every class.

    Of a class with n images, ``share * n`` rounded are held out, but never the last one. The choice
    depends on the labels and the seed alone. Both parts keep the order of the set and number their
    positions from 0.

    Args:
        train: the whole training set.
        share: of every class, in (0, 1).
        seed: of the choice.

    Returns:
        The training part and the validation part.

    Raises:
        UsageError: the share is not between 0 and 1, or is so small that nothing is held out.
    """
    if not 0 < share < 1:
        raise UsageError(f"a validation share must lie between 0 and 1, not {share}.")
    # In a random order sorted stably by class, the first k of a class are a random k of it.
    shuffled = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    labels = train.labels[shuffled]
    by_class = torch.argsort(labels, stable=True)
    counts = torch.bincount(labels)
    rank = torch.arange(len(train)) - (counts.cumsum(0) - counts)[labels[by_class]]
    quota = (counts * share).round().long().clamp(max=(counts - 1).clamp(min=0))
    held = torch.zeros(len(train), dtype=torch.bool)
    held[shuffled[by_class]] = rank < quota[labels[by_class]]
    if not held.any():
        raise UsageError(
            f"a validation share of {share} holds out no image: the largest class has "
            f"{int(counts.max())}. Ask for a larger share."
        )
    return train.select(torch.where(~held)[0]), train.select(torch.where(held)[0])
