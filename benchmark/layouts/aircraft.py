"""The layout of FGVC-Aircraft: lists of images by split for each of three levels of classes.

    data/variants.txt, families.txt, manufacturers.txt    a class a line
    data/images_LEVEL_trainval.txt, images_LEVEL_test.txt IMAGE CLASS, the class may hold spaces
    data/images/IMAGE.jpg

Training is on train and validation together, as in the literature.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.cards.fields import SplitName
from benchmark.errors import DataError
from benchmark.layouts.listing import Layout, Listing, Places, inside, read_lines

_NAMES = {"variant": "variants", "family": "families", "manufacturer": "manufacturers"}


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images in the order of the official lists."""
    level = LAYOUT.option(options, "level")
    names_file = _need(places, f"{_NAMES[level]}.txt")
    names = tuple(line.strip() for line in read_lines(names_file))
    if names and names[0].lower() in (level, _NAMES[level]):
        names = names[1:]  # some copies were saved as tables, with a heading
    known = {name: label for label, name in enumerate(names)}
    folder = _need(places, "images")
    lists: dict[SplitName, Path] = {
        "train": _need(places, f"images_{level}_trainval.txt"),
        "test": _need(places, f"images_{level}_test.txt"),
    }
    items: dict[SplitName, list[tuple[Path, int]]] = {}
    for split, path in lists.items():
        items[split] = []
        for line, text in enumerate(read_lines(path), 1):
            image, _, name = text.strip().partition(" ")
            if line == 1 and image.lower() == "image":
                continue
            if name not in known:
                raise DataError(
                    f"{path}, line {line}: '{name}' is not in {names_file.name}. The files are of "
                    "different versions: unpack the archive again."
                )
            file = inside(folder, f"{image}.jpg", f"{path}, line {line}")
            items[split].append((file, known[name]))
    return Listing(items, names)


def _need(places: Places, name: str) -> Path:
    return places.need(f"data/{name}", name)


LAYOUT = Layout(
    name="aircraft",
    about="FGVC-Aircraft 2013b: data/images/ and lists by level",
    marks=("data/variants.txt", "variants.txt"),
    read=read,
    options={"level": tuple(_NAMES)},
)
