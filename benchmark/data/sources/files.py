"""Images that lie as files in folders, in some layout: decoded when they are read, never before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.cards.source import InLayout
from benchmark.data.decoding import ImageFile, read_file, read_image
from benchmark.data.found import Contents, Found
from benchmark.data.splits import ImageSplit
from benchmark.layouts.catalogue import layout_of
from benchmark.layouts.listing import Listing, Places


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

    def file(self, position: int) -> ImageFile:
        """One image, not decoded.

        Raises:
            DataError: the file is gone.
        """
        return read_file(self.paths[position])

    def select(self, positions: Sequence[int]) -> FileImages:
        """Some of the images, in the given order."""
        return FileImages(tuple(self.paths[position] for position in positions))


def read_layout(source: InLayout, places: Places) -> Listing:
    """List a folder's images, all of which are there.

    Raises:
        DataError: the folder is not as the layout says, or files are missing.
    """
    listing = layout_of(source).read(places, source.options)
    listing.check_files(str(places))
    return listing


def shown(folder: Path) -> str:
    """A folder for a person; of a link also where it leads."""
    leads = folder.resolve()
    return str(folder) if leads == folder.absolute() else f"{folder} (which is {leads})"


def found_files(origin: str, places: Places, listing: Listing, *, keep: int | None = None) -> Found:
    """The images of a listing; no file is opened.

    Args:
        origin: for a person: where they are.
        places: where they are.
        listing: the files with their labels.
        keep: only the first so many classes are taken; None takes all.
    """

    def read() -> Contents:
        splits: dict[SplitName, ImageSplit] = {}
        for split in SPLITS:
            items = listing.items[split]
            labels = torch.tensor([label for _, label in items], dtype=torch.int64)
            splits[split] = ImageSplit(FileImages(tuple(path for path, _ in items)), labels)
        return Contents(splits, listing.class_names).first(keep)

    images = (path for split in SPLITS for path, _ in listing.items[split])
    return Found(origin, listing.stamps(), read, files=(*images, *places.tables))
