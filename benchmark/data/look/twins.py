"""Images that are in a data set more than once: identical files, and pictures that look the same.

What a network learnt by heart it also tells in a test, if the test asks for it. Two images are
nearly identical if their perceptual hashes (64 bits, Zauner 2010, as ``imagehash`` computes them)
differ in few bits, and their grey thumbnails go together: the hash alone takes two birds before one
sky for the same.

The bounds were chosen on 193 photographs of CUB-200-2011 and copies of each: JPEG of quality 30,
half the size and less contrast are found in all cases, 30 % more light in 99.5 %, a border of 2 %
cut off in 97 %, of 5 % in 39 %. Between train and test they find one pair in the first 50 classes
of CUB-200-2011, which is one photograph twice, and a training image for 230 of the 10,000 test
images of CIFAR-100; 227 of these have one class, where chance would give 2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.look.looking import Broken, Look

MOST_BITS = 8
"""In which the hashes of two pictures that look the same may differ, of 64."""
LEAST_CORRELATION = 0.9
"""Of their thumbnails."""
_PAIRS_AT_ONCE = 1 << 22  # 32 MB of bits that differ
_THUMBNAILS_AT_ONCE = 1 << 14  # 16 MB


@dataclass(frozen=True)
class Copy:
    """One of several places of an image.

    Attributes:
        split: that it is in.
        place: for a person.
        label: of its class.
    """

    split: SplitName
    place: str
    label: int


Group = tuple[Copy, ...]
"""Images that are the same, those of the training set first."""


@dataclass(frozen=True)
class Twins:
    """What is in a data set more than once.

    Attributes:
        identical: files that are the same bit for bit, in any split.
        alike: a test image and the training image that it looks like most, where it looks like
            one; without those that are identical.
    """

    identical: tuple[Group, ...]
    alike: tuple[Group, ...]

    def across(self) -> tuple[Group, ...]:
        """Identical files of which some are trained on and others are tested on."""
        return tuple(group for group in self.identical if len({one.split for one in group}) > 1)

    def within(self, split: SplitName) -> tuple[Group, ...]:
        """Identical files of one split alone."""
        return tuple(group for group in self.identical if {one.split for one in group} == {split})


def find_twins(
    looks: Mapping[SplitName, Sequence[Look | Broken]],
    labels: Mapping[SplitName, Sequence[int]],
) -> Twins:
    """What is in a data set more than once.

    Args:
        looks: by split and position.
        labels: of the same images.
    """
    places: dict[bytes, list[Copy]] = defaultdict(list)
    single: dict[SplitName, list[tuple[Look, Copy]]] = {}
    for split in SPLITS:
        single[split] = []
        for look, label in zip(looks[split], labels[split], strict=True):
            if isinstance(look, Look):
                copy = Copy(split, look.place, label)
                places[look.digest].append(copy)
                single[split].append((look, copy))
    identical = tuple(tuple(group) for group in places.values() if len(group) > 1)
    leaked = {look.digest for look, _ in single["train"]}
    train, test = single["train"], [one for one in single["test"] if one[0].digest not in leaked]
    near = nearest([look for look, _ in test], [look for look, _ in train])
    alike = tuple(
        (train[partner][1], copy)
        for (_, copy), partner in zip(test, near, strict=True)
        if partner is not None
    )
    return Twins(identical, alike)


def nearest(looks: Sequence[Look], others: Sequence[Look]) -> list[int | None]:
    """For each image the position of the other that it looks like most; None if like none.

    Every image is compared with every other, block by block: 10,000 with 50,000 hashes take 3 s
    on one core of a busy machine (numpy 2.4).
    """
    if not looks or not others:
        return [None] * len(looks)
    bits, other_bits = (_bits(some) for some in (looks, others))
    shapes, other_shapes = (_shapes(some) for some in (looks, others))
    # Pictures of one colour have no shape that could be compared; thousands may have one hash.
    plain, other_plain = (np.logical_not(some.any(axis=1)) for some in (shapes, other_shapes))
    found = np.full(len(looks), -1)
    best = np.full(len(looks), LEAST_CORRELATION, dtype=np.float32)
    step = max(1, _PAIRS_AT_ONCE // len(others))
    for start in range(0, len(looks), step):
        differ = np.bitwise_count(bits[start : start + step, None] ^ other_bits)
        rows, columns = np.nonzero(differ <= MOST_BITS)
        rows += start
        kept = np.logical_not(plain[rows] | other_plain[columns])
        rows, columns = rows[kept], columns[kept]
        for first in range(0, len(rows), _THUMBNAILS_AT_ONCE):
            row, column = (some[first : first + _THUMBNAILS_AT_ONCE] for some in (rows, columns))
            likeness = np.einsum("nd,nd->n", shapes[row], other_shapes[column])
            # Each image's likeliest comes first, and then counts only if none before was likelier.
            order = np.lexsort((column, -likeness, row))
            order = order[np.diff(row[order], prepend=-1) > 0]
            order = order[likeness[order] >= best[row[order]]]
            order = order[(likeness[order] > best[row[order]]) | (found[row[order]] < 0)]
            found[row[order]], best[row[order]] = column[order], likeness[order]
    return [partner if partner >= 0 else None for partner in found.tolist()]


def _bits(looks: Sequence[Look]) -> NDArray[np.uint64]:
    """The perceptual hashes (N,)."""
    return np.array([look.fingerprint for look in looks], dtype=np.uint64)


def _shapes(looks: Sequence[Look]) -> NDArray[np.float32]:
    """The thumbnails (N, D), each less its mean and of length 1, or 0 where it has one value."""
    shapes = np.stack([look.thumbnail for look in looks]).astype(np.float32)
    shapes -= shapes.mean(axis=1, keepdims=True)
    length = np.linalg.norm(shapes, axis=1, keepdims=True)
    return np.where(length > 0.5, shapes / np.maximum(length, 0.5), np.float32(0))
