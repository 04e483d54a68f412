"""Comparing with its card what can be compared once a data set is open."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.cards.card import Card
from benchmark.data.found import Contents
from benchmark.errors import DataError


def check(contents: Contents, card: Card, origin: str) -> None:
    """Refuse images that are not those of a card, as far as names, labels and sizes tell.

    Args:
        contents: what a source gave.
        card: of the data set.
        origin: names the source in messages.

    Raises:
        DataError: the number of classes or of images is another, a label is out of range, a class
            has no image, or images that are decoded have another size.
    """
    names = contents.class_names
    if names and len(names) != card.classes:
        raise DataError(
            f"{origin}: there are {len(names)} class names, the card says classes = "
            f"{card.classes}. Correct the card, or its label column."
        )
    for split, part in contents.splits.items():
        where = f"{origin}, split '{split}'"
        if len(part) != card.splits[split]:
            raise DataError(
                f"{where} has {len(part):,} images, the card says {card.splits[split]:,}. Is it "
                "another version of the data, or a part of them? Fetch the files again, or correct "
                "the card."
            )
        _check_labels(part.labels, card, names, where)
        size = (card.image_size, card.image_size, 3)
        if isinstance(part.images, Tensor) and part.images.shape[1:] != size:
            height, width = part.images.shape[1:3]
            raise DataError(
                f"{where} has images of {width}x{height} pixels, the card says image_size = "
                f"{card.image_size}. Correct the card."
            )


def _check_labels(labels: Tensor, card: Card, names: tuple[str, ...], where: str) -> None:
    """Refuse labels (N,) out of range and classes without an image."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= card.classes:
        from_one = " They seem to count from 1." if (low, high) == (1, card.classes) else ""
        raise DataError(
            f"{where} has labels from {low} to {high}, the card says 0 to "
            f"{card.classes - 1}.{from_one} Correct classes or the label column in the card."
        )
    empty = torch.where(torch.bincount(labels, minlength=card.classes) == 0)[0].tolist()
    if empty:
        first = f"{empty[0]} ({names[empty[0]]})" if names else str(empty[0])
        more = f" and of {len(empty) - 1} more" if len(empty) > 1 else ""
        raise DataError(
            f"{where} has no image of class {first}{more}. Every class needs images in both "
            "splits: add them, or correct the card."
        )
