"""What was taken in: images with their classes and, if there is one, their split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.cards.fields import SplitName
from benchmark.errors import DataError
from benchmark.layouts.listing import is_number

VALIDATION = "validation"
SPLIT_WORDS: dict[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), VALIDATION),
}
"""What people call a split, in lower case."""


@dataclass(frozen=True)
class Taken:
    """An image that was taken in.

    Attributes:
        path: below the folder of the images, with slashes.
        label: name of its class.
        split: None where none is told.
    """

    path: str
    label: str
    split: SplitName | None = None


@dataclass(frozen=True)
class Intake:
    """Images that were taken in.

    Attributes:
        folder: of the images, absolute.
        images: in any order; all of them have a split, or none has.
        notes: what a person should know of how they were read, a sentence each.
    """

    folder: Path
    images: tuple[Taken, ...]
    notes: tuple[str, ...] = ()

    @property
    def divided(self) -> bool:
        """Whether the images have a split."""
        return all(image.split for image in self.images)


def with_splits(
    images: Sequence[Taken], words: Sequence[str], place: str
) -> tuple[tuple[Taken, ...], tuple[str, ...]]:
    """Give images the splits that somebody's words name.

    Args:
        images: without a split.
        words: of the same images; keys of ``SPLIT_WORDS``.
        place: where they stand, for messages.

    Returns:
        The images that are used, and what a person should know. A validation part is the test where
        there is no other, and left out where there is; training images alone stay undivided.

    Raises:
        DataError: there are no training images.
    """
    meant = [SPLIT_WORDS[word.lower()] for word in words]
    counts = Counter(meant)
    if not counts["train"]:
        raise DataError(
            f"{place} has no training images, only {' and '.join(sorted(set(words)))}. Say which "
            "of them are for training."
        )
    if set(counts) == {"train"}:
        return tuple(images), (f"{place} has training images alone",)
    notes = []
    splits: dict[str, SplitName] = {"train": "train", "test": "test"}
    if not counts["test"]:
        splits = {"train": "train", VALIDATION: "test"}
        notes.append("the validation images are the test, as there is no other")
    elif counts[VALIDATION]:
        notes.append(f"validation images are left out: {counts[VALIDATION]:,}")
    used = tuple(
        replace(image, split=splits[word])
        for image, word in zip(images, meant, strict=True)
        if word in splits
    )
    return used, tuple(notes)


def with_names(images: Sequence[Taken]) -> tuple[tuple[Taken, ...], tuple[str, ...]]:
    """Let classes that are called by numbers with gaps, or from 1, be names that a table may hold.

    Returns:
        The images, and what a person should know.
    """
    written = {image.label for image in images}
    if not all(map(is_number, written)):
        return tuple(images), ()
    if sorted(map(int, written)) == list(range(len(written))):
        return tuple(images), ()
    digits = max(map(len, written))
    named = tuple(replace(one, label=f"class {one.label.zfill(digits)}") for one in images)
    first = min(image.label for image in named)
    return named, (f"classes are numbers with gaps or from 1, and are called '{first}' and so on",)


def left_out(names: Iterable[str]) -> tuple[str, ...]:
    """Say what kinds of files were not taken in, if there are any."""
    endings = Counter(Path(name).suffix.lower() or "without an ending" for name in names)
    if not endings:
        return ()
    told = ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common())
    return (f"files that are no images by their names are left out: {told}",)
