"""A split for images that have none: the same share of every class, the same in every order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from benchmark.data.intake.images import Taken
from benchmark.errors import ManyFaults, UsageError


def divide(images: Sequence[Taken], share: float, seed: int, *, place: str) -> tuple[Taken, ...]:
    """Choose test images, the same share of every class.

    Of a class with n images ``share * n`` rounded are tested on, at least one and never all: the
    first in the order of SHA-256 of seed and path. A choice so made depends on no order of a
    folder or table, and an image that is added moves at most one other from part to part.

    Args:
        images: without a split.
        share: of every class, in (0, 1).
        seed: of the choice.
        place: where the images lie, for messages.

    Raises:
        UsageError: the share is not between 0 and 1.
        ManyFaults: classes have one image alone; all of them.
    """
    if not 0 < share < 1:
        raise UsageError(f"--test {share} is no share: it must lie between 0 and 1.")
    classes: dict[str, list[str]] = defaultdict(list)
    for image in images:
        classes[image.label].append(image.path)
    if lonely := sorted(label for label, paths in classes.items() if len(paths) == 1):
        raise ManyFaults(
            f"{place}: {len(lonely)} of {len(classes)} classes cannot be divided:",
            [f"class '{label}' has one image, {classes[label][0]}" for label in lonely],
            "A class needs an image for training and one for the test: add some, or take it away.",
        )
    tested = set[str]()
    for paths in classes.values():
        count = min(max(round(share * len(paths)), 1), len(paths) - 1)
        tested.update(sorted(paths, key=lambda path: _rank(seed, path))[:count])
    return tuple(
        replace(image, split="test" if image.path in tested else "train") for image in images
    )


def _rank(seed: int, path: str) -> bytes:
    return hashlib.sha256(f"{seed}\t{path}".encode()).digest()
