"""Sketches of invented birds: a fine-grained data set that a program draws.

Families share a body plan; the species of a family differ only in small marks (a brow, a wing bar,
the tip of the tail), while pose, light, surroundings and what stands in the way vary freely. The
pictures are a pure function of the spec, byte for byte: the random numbers come from PCG64, whose
stream numpy guarantees, as raw integers, and the painting uses correctly rounded arithmetic alone
(see ``canvas``). Picture i of a class is the same however many are drawn and in whatever order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import CardError
from benchmark.sketches.scene import NUMBERS, Kind, paint_scenes
from benchmark.sketches.species import FAMILIES, LOOKS

_BATCH = 32
"""Pictures painted at once; about what fits in a core's cache. It does not change a byte."""


@dataclass(frozen=True)
class SketchSpec:
    """What to draw.

    Attributes:
        families: how many body plans.
        species: how many species a family has; the classes are families times species.
        images_per_class: how many pictures a class has.
        split: its name; pictures of different splits are different.
        seed: of everything that varies from picture to picture.
        size: edge length in pixels.

    Raises:
        CardError: more families or species are asked for than exist.
    """

    families: int
    species: int
    images_per_class: int
    split: str
    seed: int = 0
    size: int = 32

    def __post_init__(self) -> None:
        for name, value, most in (
            ("families", self.families, len(FAMILIES)),
            ("species", self.species, len(LOOKS)),
        ):
            if not 1 <= value <= most:
                raise CardError(f"sketches have 1 to {most} {name}, not {value}; change the card")

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.families * self.species


def draw(spec: SketchSpec) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw a split.

    Returns:
        Images (N, size, size, 3) and labels (N,), class after class.
    """
    labels = np.repeat(np.arange(spec.classes, dtype=np.int64), spec.images_per_class)
    positions = np.tile(np.arange(spec.images_per_class, dtype=np.int64), spec.classes)
    images = np.empty((len(labels), spec.size, spec.size, 3), dtype=np.uint8)
    for start in range(0, len(labels), _BATCH):
        chosen = slice(start, start + _BATCH)
        images[chosen] = draw_some(spec, labels[chosen].tolist(), positions[chosen].tolist())
    return images, labels


def draw_some(
    spec: SketchSpec, labels: Sequence[int], positions: Sequence[int]
) -> NDArray[np.uint8]:
    """Draw single pictures, each named by its class and its position in that class."""
    kinds = kinds_of(spec)
    drawn = [_randomness(spec, *which) for which in zip(labels, positions, strict=True)]
    return paint_scenes(
        [kinds[label] for label in labels],
        numbers=np.stack([numbers for numbers, _ in drawn]),
        noise=np.stack([noise for _, noise in drawn]),
        size=spec.size,
    )


def class_names(spec: SketchSpec) -> list[str]:
    """Names such as ``wren-browed``, in the order of the labels."""
    return [
        f"{family.name}-{look}"
        for family in FAMILIES[: spec.families]
        for look, _ in LOOKS[: spec.species]
    ]


def kinds_of(spec: SketchSpec) -> list[Kind]:
    """What every class looks like, in the order of the labels."""
    return [
        Kind(family, marks)
        for family in FAMILIES[: spec.families]
        for _, marks in LOOKS[: spec.species]
    ]


def _randomness(
    spec: SketchSpec, label: int, position: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """A picture's own uniform numbers (NUMBERS,) and noise bytes (size, size, 3)."""
    split = int.from_bytes(hashlib.sha256(spec.split.encode()).digest()[:8], "little")
    stream = np.random.PCG64(np.random.SeedSequence([spec.seed, split, label, position]))
    noise_bytes = spec.size * spec.size * 3
    raw = stream.random_raw(NUMBERS + (noise_bytes + 7) // 8)
    numbers = (raw[:NUMBERS] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    noise = raw[NUMBERS:].astype("<u8").view(np.uint8)[:noise_bytes]
    return numbers, noise.reshape(spec.size, spec.size, 3)
