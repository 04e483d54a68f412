"""The layout that needs no list: ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``.

Classes are the folders' names in alphabetical order. The test images may lie in ``val`` or
``validation`` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.errors import DataError, ManyFaults
from benchmark.layouts.listing import IMAGE_SUFFIXES, Layout, Listing, Places

TEST_FOLDERS = ("test", "val", "validation")
HALF = frozenset((".part", ".crdownload", ".download", ".tmp", ".partial"))
NO_IMAGES = frozenset(("thumbs.db", "desktop.ini"))


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images by class and name."""
    folders: dict[SplitName, Path] = {
        "train": places.need("train"),
        "test": places.need(*TEST_FOLDERS),
    }
    classes = {split: _classes(folder) for split, folder in folders.items()}
    for split, other in (SPLITS, SPLITS[::-1]):
        if missing := sorted(set(classes[other]) - set(classes[split])):
            raise DataError(
                f"{folders[split]} has no folder for {_some(missing)}, which {folders[other]} has. "
                "Every class needs images in both: add them, or take the class away."
            )
    names = tuple(classes["train"])
    items: dict[SplitName, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
    faults: list[str] = []
    for split in SPLITS:
        for label, name in enumerate(names):
            images, wrong = _images(folders[split] / name)
            items[split] += [(path, label) for path in images]
            faults += wrong
    if faults:
        raise ManyFaults(
            f"{places} is not as it should be:",
            faults,
            f"Images end in {', '.join(sorted(IMAGE_SUFFIXES))}; a class's folder holds nothing "
            "else, and every class needs images in both splits.",
        )
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


def _images(folder: Path) -> tuple[list[Path], list[str]]:
    """The images below a class's folder, which may have folders of its own; and what is wrong."""
    images, faults = [], []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith(".") or path.name.lower() in NO_IMAGES:
            continue
        suffix = path.suffix.lower()
        if suffix in HALF:
            faults.append(f"{path} was not downloaded to its end: fetch it again, or delete it")
        elif suffix not in IMAGE_SUFFIXES:
            faults.append(f"{path} is no image by its name: take it out of the class's folder")
        else:
            images.append(path)
    if not images and not faults:
        faults.append(f"{folder} holds no image: add some, or take the folder away everywhere")
    return images, faults


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


LAYOUT = Layout(
    name="image_folder",
    about="train/CLASS/*.jpg and test/CLASS/*.jpg",
    marks=("train",),
    read=read,
)
