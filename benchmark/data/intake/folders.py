"""Folders that say the class of an image: ``CLASS/*.jpg``, also below folders of splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.data.intake.images import SPLIT_WORDS, Intake, Taken, left_out, with_splits
from benchmark.errors import ManyFaults
from benchmark.layouts.image_folder import HALF, NO_IMAGES
from benchmark.layouts.listing import IMAGE_SUFFIXES


def folders_in(folder: Path) -> list[Path]:
    """The folders inside that are meant to be seen, by name."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def has_classes(folder: Path) -> bool:
    """Whether at least two folders inside hold images."""
    holding = (inner for inner in folders_in(folder) if any(_is_image(f) for f in _files(inner)))
    return next(holding, None) is not None and next(holding, None) is not None


def split_named(folder: Path) -> list[Path]:
    """The folders inside that are called like splits."""
    return [inner for inner in folders_in(folder) if inner.name.lower() in SPLIT_WORDS]


def split_folders(folder: Path) -> list[Path]:
    """Those of them that hold folders."""
    return [inner for inner in split_named(folder) if folders_in(inner)]


def read_classes(folder: Path) -> Intake:
    """Images whose folder is their class, without a split.

    Raises:
        ManyFaults: downloads that stopped lie among them; all of them.
    """
    images, notes = _class_images([folder], folder)
    return Intake(folder, tuple(image for image, _ in images), notes)


def read_splits(folder: Path) -> Intake:
    """Images whose folder is their class, below folders that are called like splits.

    Raises:
        DataError: there are no training images.
        ManyFaults: downloads that stopped lie among them; all of them.
    """
    images, notes = _class_images(split_folders(folder), folder)
    words = [word for _, word in images]
    used, more = with_splits([image for image, _ in images], words, str(folder))
    return Intake(folder, used, (*more, *notes))


def _class_images(
    folders: Sequence[Path], root: Path
) -> tuple[list[tuple[Taken, str]], tuple[str, ...]]:
    """The images of all classes, each with the name of its split's folder; and what was left out.

    Args:
        folders: whose folders are classes.
        root: from which images are named.
    """
    images: list[tuple[Taken, str]] = []
    others, empty, halves = [], [], []
    for inner in (inner for folder in folders for inner in folders_in(folder)):
        before = len(images)
        for path in _files(inner):
            if _is_image(path):
                taken = Taken(path.relative_to(root).as_posix(), inner.name)
                images.append((taken, inner.parent.name))
            elif path.suffix.lower() in HALF:
                halves.append(f"{path} was not downloaded to its end")
            else:
                others.append(path.name)
        if len(images) == before:
            empty.append(inner.relative_to(root).as_posix())
    if halves:
        raise ManyFaults(
            f"{root} is not whole:", halves, "Fetch these files again, or delete them."
        )
    notes = left_out(others)
    if empty:
        more = f" and {len(empty) - 8} more" if len(empty) > 8 else ""
        notes += (f"folders without an image are left out: {', '.join(empty[:8])}{more}",)
    return images, notes


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder that are meant to be seen, in the order of their names."""
    for parent, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.lower() not in NO_IMAGES:
                yield Path(parent, name)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES
