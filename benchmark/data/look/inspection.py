"""Looking at a loaded data set: a report on every image, a picture of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.look.contact_sheet import contact_sheet
from benchmark.data.look.looking import look_at
from benchmark.data.look.report import Report
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError

MOST_ROWS = 40
COLUMNS = 8


def inspect(data: DataSet, *, advance: Callable[[int], None] = lambda _: None) -> Report:
    """Read every image of a data set that agrees with its card in numbers already.

    Args:
        data: loaded, and so compared with the card.
        advance: is told how many more images were read.
    """
    parts: dict[SplitName, ImageSplit] = {"train": data.train, "test": data.test}
    return Report.of(
        data.card.name,
        data.origin,
        data.class_names,
        {split: look_at(parts[split].images, advance=advance) for split in SPLITS},
        {split: parts[split].labels.tolist() for split in SPLITS},
    )


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
