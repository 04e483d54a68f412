"""What a folder of images holds, as far as its card needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.decoding import read_image
from benchmark.errors import DataError
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.layouts.listing import Listing, Places

SAMPLE = 2000
"""Training images that are opened; more change mean and deviation in the third digit."""

_SIZES = (32, 64, 112, 224)
"""Image sizes to choose from, in pixels: those that the networks of the field were made for."""


@dataclass(frozen=True)
class Survey:
    """A folder's contents.

    Attributes:
        folder: that was surveyed, absolute.
        layout: its layout's name.
        options: of the layout.
        class_names: by label.
        images: number by split.
        fewest: training images of the smallest class.
        opened: training images that were opened.
        short_side: median of the opened images' shorter sides in pixels.
        mean, std: of their pixels in [0, 1] by channel, every image counted alike.
        image_size: proposed height and width for the networks in pixels.
        fingerprint: of the list of files.
    """

    folder: Path
    layout: str
    options: Mapping[str, str]
    class_names: tuple[str, ...]
    images: Mapping[SplitName, int]
    fewest: int
    opened: int
    short_side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: int
    fingerprint: str


def survey(
    folder: Path,
    layout: str | None = None,
    *,
    layouts: LayoutCatalogue | None = None,
    sample: int = SAMPLE,
) -> Survey:
    """Count classes and images, and open some of the training images.

    Args:
        folder: holds the images.
        layout: its layout's name; None finds it out.
        layouts: that are known; None for the built-in ones.
        sample: most training images that are opened, evenly spread over the list.

    Raises:
        UnknownName: there is no such layout.
        DataError: it is no folder, has no known layout, holds fewer than two classes, or an opened
            image cannot be decoded.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}. Correct --from.")
    layouts = layouts or LayoutCatalogue()
    layout, options = (layout, {}) if layout else _layout_of(folder, layouts)
    listing = layouts.get(layout).read(Places((folder,)), options)
    listing.check_files(str(folder))
    counts = _counts(listing, folder)
    paths = [path for path, _ in listing.items["train"]]
    step = max(1, -(-len(paths) // sample))
    mean, std, sides = _opened(paths[::step])
    short_side = int(np.median(sides))
    return Survey(
        folder=folder,
        layout=layout,
        options=options,
        class_names=listing.class_names,
        images={split: len(listing.items[split]) for split in SPLITS},
        fewest=int(counts["train"].min()),
        opened=len(sides),
        short_side=short_side,
        mean=_rounded(mean),
        std=_rounded(std),
        image_size=max((size for size in _SIZES if size <= short_side), default=_SIZES[0]),
        fingerprint=listing.fingerprint(folder),
    )


def _opened(paths: Sequence[Path]) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """Mean (3,) and deviation (3,) of the pixels of images, and their shorter sides."""
    sums, squares, sides = np.zeros(3), np.zeros(3), []
    for path in paths:
        pixels = read_image(path)
        shares = pixels.reshape(-1, 3) / 255
        sums += shares.mean(axis=0)
        squares += (shares**2).mean(axis=0)
        sides.append(min(pixels.shape[:2]))
    mean = sums / len(sides)
    return mean, np.sqrt(np.maximum(squares / len(sides) - mean**2, 1e-6)), sides


def _layout_of(folder: Path, layouts: LayoutCatalogue) -> tuple[str, dict[str, str]]:
    """The layout that a folder looks like, and the options that it needs."""
    found = [layout.name for layout in layouts.values() if layout.is_in(folder)]
    tables = sorted(path.name for path in folder.glob("*.csv"))
    if not found and len(tables) == 1:
        return "csv", {"file": tables[0]}
    if len(found) != 1:
        known = "\n".join(f"  {layout.name}: {layout.about}" for layout in layouts.values())
        like = f"looks like several: {', '.join(found)}" if found else "is in no known layout"
        raise DataError(
            f"{folder} {like}. Known are:\n{known}\nBring the images into one of them, as "
            "docs/add-a-data-set.md shows, or say with --layout which one it is."
        )
    return found[0], {}


def _counts(listing: Listing, folder: Path) -> dict[SplitName, NDArray[np.int64]]:
    """Images (K,) of every class by split, none of them 0."""
    classes = len(listing.class_names)
    if classes < 2:
        raise DataError(f"{folder} has {classes} class; there must be two to tell apart.")
    counts: dict[SplitName, NDArray[np.int64]] = {}
    for split in SPLITS:
        labels = [label for _, label in listing.items[split]]
        counts[split] = np.bincount(np.array(labels, dtype=np.int64), minlength=classes)
        if (empty := np.flatnonzero(counts[split] == 0)).size:
            raise DataError(
                f"{folder}: split '{split}' has no image of class "
                f"'{listing.class_names[empty[0]]}'. Every class needs images in both splits."
            )
    return counts


def _rounded(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue
