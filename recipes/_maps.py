"""Which stage maps of two networks belong together, and how their sizes are made equal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log2
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

from benchmark import NetworkShape

Shape = tuple[int, int, int]
MapOrShape = TypeVar("MapOrShape", Tensor, Shape)


def stage_pairs(
    student: Sequence[MapOrShape], teacher: Sequence[MapOrShape]
) -> list[tuple[MapOrShape, MapOrShape]]:
    """The networks' stages side by side, those of the nearest height and width together.

    Every stage of the network with fewer of them has one partner, in order. Where one network has
    more, its stages are chosen so that the sizes differ by the fewest halvings in all, and those
    nearest to the input among choices that are as good. Two CIFAR networks have the pairs of the
    field's published code, which counts stages from the input, save ResNet50 with a ShuffleNet:
    there this leaves ResNet50's first stage alone, the published code its last one.

    Args:
        student: maps of the student's stages without its stem (``Outputs.stages``), or their shapes
            (``NetworkShape.stages``).
        teacher: the teacher's.
    """
    if len(student) > len(teacher):
        return [(s, t) for t, s in stage_pairs(teacher, student)]
    choices = combinations(teacher, len(student))  # in order, those nearest to the input first
    chosen = min(choices, key=lambda choice: sum(map(halvings, student, choice)))
    return list(zip(student, chosen, strict=True))


def stage_numbers(student: NetworkShape, teacher: NetworkShape) -> list[tuple[int, int]]:
    """The pairs of ``stage_pairs`` as positions in the networks' maps."""
    pairs = stage_pairs(numbered(student), numbered(teacher))
    return [(number_s, number_t) for (number_s, *_), (number_t, *_) in pairs]


def numbered(network: NetworkShape) -> list[Shape]:
    """(position among the maps, H, W) of every stage."""
    first = int(network.has_stem)
    return [(number, *shape[1:]) for number, shape in enumerate(network.stages, start=first)]


def halvings(one: MapOrShape, other: MapOrShape) -> float:
    """How often one must be halved to have the size of the other, height and width together."""
    sizes = [one.shape if isinstance(one, Tensor) else one]
    sizes.append(other.shape if isinstance(other, Tensor) else other)
    return sum(abs(log2(a / b)) for a, b in zip(*(size[-2:] for size in sizes), strict=True))


def to_smaller(map_s: Tensor, map_t: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps (B, C, H, W) at the smaller height and width; the larger one is averaged."""
    (height_s, width_s), (height_t, width_t) = map_s.shape[2:], map_t.shape[2:]
    size = min(height_s, height_t), min(width_s, width_t)
    return pooled(map_s, size), pooled(map_t, size)


def pooled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A map (B, C, H, W) averaged to a size (H, W), or itself if it has it."""
    return image if tuple(image.shape[2:]) == size else F.adaptive_avg_pool2d(image, size)
