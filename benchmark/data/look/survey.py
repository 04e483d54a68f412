"""What a folder of images holds, as far as its card needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.decoding import REMEDY
from benchmark.data.intake.preparing import Prepared
from benchmark.data.look.looking import Broken, look_at, seen
from benchmark.data.look.report import Report
from benchmark.data.sources.files import FileImages
from benchmark.errors import DataError, ManyFaults
from benchmark.layouts.listing import Listing

_SIZES = (32, 64, 112, 224)
"""Image sizes to choose from, in pixels: those that the networks of the field were made for."""


@dataclass(frozen=True)
class Survey:
    """A folder's contents.

    Attributes:
        images: that were surveyed: their folder, layout and listing.
        report: on every image.
        short_side: median of the training images' shorter sides in pixels.
        mean, std: of their pixels in [0, 1] by channel, every image counted alike.
        image_size: proposed height and width for the networks in pixels.
        fingerprint: of the list of files.
    """

    images: Prepared
    report: Report
    short_side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: int
    fingerprint: str

    @property
    def counts(self) -> Mapping[SplitName, int]:
        """Images by split."""
        return {split: self.report.splits[split].images for split in SPLITS}

    @property
    def fewest(self) -> int:
        """Training images of the smallest class."""
        return min(self.report.splits["train"].per_class)


def survey(
    images: Prepared, name: str, *, advance: Callable[[int], None] = lambda _: None
) -> Survey:
    """Look at every image.

    Args:
        images: whose files were listed.
        name: of the data set.
        advance: is told how many more were looked at.

    Raises:
        DataError: there are fewer than two classes, or one without images in a split.
        ManyFaults: files are missing or cannot be decoded; all of them.
    """
    listing, folder = images.listing, str(images.folder)
    _check_classes(listing, folder)
    looks = {split: look_at(_files(listing, split), advance=advance) for split in SPLITS}
    faults = [one.fault for split in SPLITS for one in looks[split] if isinstance(one, Broken)]
    if faults:
        total = sum(map(len, looks.values()))
        raise ManyFaults(
            f"{folder}: {len(faults):,} of {total:,} images cannot be read:",
            sorted(f.removeprefix(f"{folder}/").removesuffix(f" {REMEDY}") for f in faults),
            "Fetch them again, or take them out."
            + (" --images says where a table's paths begin." if images.table else ""),
        )
    labels = {split: [label for _, label in listing.items[split]] for split in SPLITS}
    train = seen(looks["train"])
    mean = np.mean([look.mean for look in train], axis=0)
    squares = np.mean([look.squares for look in train], axis=0)
    short_side = int(np.median([min(look.size) for look in train]))
    return Survey(
        images=images,
        report=Report.of(name, f"images in {folder}", listing.class_names, looks, labels),
        short_side=short_side,
        mean=_rounded(mean),
        std=_rounded(np.sqrt(np.maximum(squares - mean**2, 1e-6))),
        image_size=max((size for size in _SIZES if size <= short_side), default=_SIZES[0]),
        fingerprint=listing.fingerprint(images.folder),
    )


def _files(listing: Listing, split: SplitName) -> FileImages:
    return FileImages(tuple(path for path, _ in listing.items[split]))


def _check_classes(listing: Listing, folder: str) -> None:
    """Refuse what no network can learn, or no test can tell."""
    names = listing.class_names
    if len(names) < 2:
        raise DataError(f"{folder} has {len(names)} class; there must be two to tell apart.")
    for split in SPLITS:
        there = {label for _, label in listing.items[split]}
        if empty := [name for label, name in enumerate(names) if label not in there]:
            raise ManyFaults(
                f"{folder}: split '{split}' has no image of {len(empty):,} of the classes:",
                [f"'{name}'" for name in empty],
                "Every class needs images in both splits.",
            )


def _rounded(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue
