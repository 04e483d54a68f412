"""Looking at a loaded data set: counts, sizes, images that cannot be read, a picture of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.look.contact_sheet import contact_sheet
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError

MOST_ROWS = 40
COLUMNS = 8


@dataclass(frozen=True)
class SplitReport:
    """What is in a split.

    Attributes:
        images: their number.
        per_class: how many of each class, by label.
        sizes: (height, width) in pixels of the images that can be read, smallest, median and
            largest by area; None if there is no such image.
        broken: a message for every image that cannot be read; names it.
    """

    images: int
    per_class: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...] | None
    broken: tuple[str, ...]

    @property
    def empty_classes(self) -> int:
        """Classes without an image."""
        return self.per_class.count(0)


@dataclass(frozen=True)
class Report:
    """What is in a data set, by split."""

    dataset: str
    origin: str
    class_names: tuple[str, ...]
    splits: dict[SplitName, SplitReport]

    @property
    def problems(self) -> list[str]:
        """What a training would stumble over, or should not go unnoticed."""
        found: list[str] = []
        for split, report in self.splits.items():
            found += report.broken
            if report.empty_classes:
                names = [
                    self.class_names[label] for label, n in enumerate(report.per_class) if not n
                ]
                found.append(
                    f"split '{split}' has no image of {len(names)} of the classes: "
                    f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
                )
        return found

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "dataset": self.dataset,
            "origin": self.origin,
            "classes": len(self.class_names),
            "splits": {
                split: {
                    "images": report.images,
                    "fewest_of_a_class": min(report.per_class),
                    "most_of_a_class": max(report.per_class),
                    "per_class": dict(zip(self.class_names, report.per_class, strict=True)),
                    "sizes": report.sizes,
                    "broken": len(report.broken),
                }
                for split, report in self.splits.items()
            },
            "problems": self.problems,
        }


def inspect(data: DataSet, *, advance: Callable[[int], None] = lambda _: None) -> Report:
    """Read every image of a data set that agrees with its card in numbers already.

    Args:
        data: loaded, and so compared with the card.
        advance: is told how many more images were read.
    """
    parts: dict[SplitName, ImageSplit] = {"train": data.train, "test": data.test}
    return Report(
        dataset=data.card.name,
        origin=data.origin,
        class_names=data.class_names,
        splits={
            split: _inspect_split(parts[split], data.card.classes, advance) for split in SPLITS
        },
    )


def _inspect_split(part: ImageSplit, classes: int, advance: Callable[[int], None]) -> SplitReport:
    per_class = tuple(torch.bincount(part.labels, minlength=classes).tolist())
    if isinstance(part.images, Tensor):
        advance(len(part))
        size = (int(part.images.shape[1]), int(part.images.shape[2]))
        return SplitReport(len(part), per_class, (size,) * 3, ())
    images, broken, sizes = part.images, [], []

    def read(position: int) -> tuple[int, int] | str:
        try:
            height, width = images[position].shape[:2]
            return height, width
        except DataError as error:
            return str(error)

    # Decoders release Python's lock, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(read, range(len(part))):
            advance(1)
            if isinstance(found, str):
                broken.append(found)
            else:
                sizes.append(found)
    sizes.sort(key=lambda size: size[0] * size[1])
    shown = (sizes[0], sizes[len(sizes) // 2], sizes[-1]) if sizes else None
    return SplitReport(len(part), per_class, shown, tuple(broken))


def sheet(data: DataSet, *, rows: int = MOST_ROWS, columns: int = COLUMNS) -> Image.Image:
    """A picture of the training images: a row a class, of classes spread evenly over all.

    Args:
        data: loaded.
        rows: classes at most.
        columns: images of a class at most.
    """
    count = min(rows, data.card.classes)
    labels = [round(i * (data.card.classes - 1) / max(count - 1, 1)) for i in range(count)]
    images: list[NDArray[np.uint8]] = []
    owners: list[int] = []
    for row, label in enumerate(labels):
        for position in torch.where(data.train.labels == label)[0].tolist():
            if owners.count(row) == columns:
                break
            image = _readable(data.train, position)
            if image is not None:
                images.append(image)
                owners.append(row)
    names = [data.class_names[label] for label in labels]
    return contact_sheet(images, owners, names, columns=columns)


def _readable(part: ImageSplit, position: int) -> NDArray[np.uint8] | None:
    try:
        image = part.images[position]
    except DataError:
        return None
    return image.numpy() if isinstance(image, Tensor) else image
