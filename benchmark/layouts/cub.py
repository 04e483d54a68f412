"""The layout of the CUB birds: text files that give every image a number.

    images.txt               NUMBER CLASS/FILE.jpg   below images/
    image_class_labels.txt   NUMBER CLASS            counted from 1
    train_test_split.txt     NUMBER 1 or 0           1 is training
    classes.txt              CLASS NAME

Numbers may have gaps: a part of the archive keeps the whole one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.cards.fields import SplitName
from benchmark.errors import DataError
from benchmark.layouts.listing import (
    Layout,
    Listing,
    Places,
    from_one,
    inside,
    is_number,
    read_lines,
)

_SPLIT: dict[str, SplitName] = {"1": "train", "0": "test"}


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images in the order of ``images.txt``."""
    folder = places.need("images")
    files = {name: places.need(f"{name}.txt") for name in _TABLES}
    images, labels, splits, classes = (_numbered(path) for path in files.values())
    names = tuple(classes.values())
    if list(classes) != [str(number) for number in range(1, len(names) + 1)]:
        raise DataError(
            f"{files['classes']}: classes must be numbered 1 to {len(names)}, in this order. "
            "Unpack the archive again."
        )
    items: dict[SplitName, list[tuple[Path, int]]] = {"train": [], "test": []}
    for line, (number, name) in enumerate(images.items(), 1):
        for table, path in ((labels, files["image_class_labels"]),
                            (splits, files["train_test_split"])):  # fmt: skip
            if number not in table:
                raise DataError(
                    f"{path} has no line for image {number} of images.txt: the files are of "
                    "different versions or cut short. Unpack the archive again."
                )
        if splits[number] not in _SPLIT:
            raise DataError(
                f"{files['train_test_split']}: image {number} has '{splits[number]}'; 1 stands "
                "for training and 0 for test."
            )
        label = from_one(
            labels[number], len(names), f"{files['image_class_labels']}, image {number}"
        )
        file = inside(folder, name, f"{files['images']}, line {line}")
        items[_SPLIT[splits[number]]].append((file, label))
    return Listing(items, names)


def _numbered(path: Path) -> dict[str, str]:
    """The lines ``NUMBER VALUE`` of a file."""
    table: dict[str, str] = {}
    for line, text in enumerate(read_lines(path), 1):
        number, space, value = text.strip().partition(" ")
        if not space or not is_number(number):
            raise DataError(
                f"{path}, line {line}: '{text}' is not a number and a value. Unpack the archive "
                "again."
            )
        if number in table:
            raise DataError(f"{path}, line {line}: {number} is there twice. Unpack it again.")
        table[number] = value.strip()
    return table


_TABLES = ("images", "image_class_labels", "train_test_split", "classes")

LAYOUT = Layout(
    name="cub",
    about="CUB-200-2011: images/ and numbered text files",
    marks=("train_test_split.txt", "image_class_labels.txt"),
    read=read,
)
