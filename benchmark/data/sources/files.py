"""Images that lie as files in folders: decoded when they are read, never before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.cards.card import SPLITS, SplitName
from benchmark.data.decoding import read_image
from benchmark.data.splits import ImageSplit
from benchmark.layouts import Listing


@dataclass(frozen=True)
class FileImages:
    """Image files of any size.

    Attributes:
        paths: one file an image.
    """

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.paths)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """One image (H, W, 3).

        Raises:
            DataError: the file is gone or cannot be decoded.
        """
        return read_image(self.paths[position])

    def select(self, positions: Sequence[int]) -> FileImages:
        """Some of the images, in the given order."""
        return FileImages(tuple(self.paths[position] for position in positions))


def open_files(listing: Listing) -> dict[SplitName, ImageSplit]:
    """The splits of a listing; no file is opened."""
    splits: dict[SplitName, ImageSplit] = {}
    for split in SPLITS:
        items = listing.items[split]
        labels = torch.tensor([label for _, label in items], dtype=torch.int64)
        splits[split] = ImageSplit(FileImages(tuple(path for path, _ in items)), labels)
    return splits
