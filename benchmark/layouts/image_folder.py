"""The layout that needs no list: ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``.

Classes are the folders' names in alphabetical order. The test images may lie in ``val`` or
``validation`` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.errors import DataError
from benchmark.layouts.listing import IMAGE_SUFFIXES, Layout, Listing, Places

_HALF = frozenset((".part", ".crdownload", ".download", ".tmp", ".partial"))
_NO_IMAGES = frozenset(("thumbs.db", "desktop.ini"))


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images by class and name."""
    folders: dict[SplitName, Path] = {
        "train": places.need("train"),
        "test": places.need("test", "val", "validation"),
    }
    classes = {split: _classes(folder) for split, folder in folders.items()}
    for split, other in (SPLITS, SPLITS[::-1]):
        if missing := sorted(set(classes[other]) - set(classes[split])):
            raise DataError(
                f"{folders[split]} has no folder for {_some(missing)}, which {folders[other]} has. "
                "Every class needs images in both: add them, or take the class away."
            )
    names = tuple(classes["train"])
    items: dict[SplitName, list[tuple[Path, int]]] = {
        split: [
            (path, label)
            for label, name in enumerate(names)
            for path in _images(folders[split] / name)
        ]
        for split in SPLITS
    }
    return Listing(items, names)


def _classes(folder: Path) -> list[str]:
    """Names of the folders inside, in alphabetical order."""
    names = sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if not names:
        raise DataError(
            f"{folder} holds no folders. It should hold one for each class: {folder}/CLASS/*.jpg."
        )
    return names


def _images(folder: Path) -> list[Path]:
    """The images below a class's folder, which may have folders of its own."""
    images = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith(".") or path.name.lower() in _NO_IMAGES:
            continue
        suffix = path.suffix.lower()
        if suffix in _HALF:
            raise DataError(f"{path} was not downloaded to its end. Fetch it again, or delete it.")
        if suffix not in IMAGE_SUFFIXES:
            raise DataError(
                f"{path} is no image by its name; images end in {', '.join(sorted(IMAGE_SUFFIXES))}"
                ". Take the file out of the class's folder."
            )
        images.append(path)
    if not images:
        raise DataError(f"{folder} holds no image. Add some, or take the folder away everywhere.")
    return images


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


LAYOUT = Layout(
    name="image_folder",
    about="train/CLASS/*.jpg and test/CLASS/*.jpg",
    marks=("train",),
    read=read,
)
