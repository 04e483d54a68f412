"""Which stage maps of two networks belong together, and how their sizes are made equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

MapOrShape = TypeVar("MapOrShape")  # a map, or its shape


def stage_pairs(
    student: Sequence[MapOrShape], teacher: Sequence[MapOrShape]
) -> list[tuple[MapOrShape, MapOrShape]]:
    """The networks' stages side by side, without the stems.

    As in the field's published code, stages are counted from the input: where one network has
    more of them, its last ones stand alone.
    """
    return list(zip(student[1:], teacher[1:], strict=False))


def to_smaller(map_s: Tensor, map_t: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps (B, C, H, W) at the smaller height and width; the larger one is averaged."""
    size = [min(pair) for pair in zip(map_s.shape[2:], map_t.shape[2:], strict=True)]
    return pooled(map_s, size), pooled(map_t, size)


def pooled(image: Tensor, size: Sequence[int]) -> Tensor:
    """A map (B, C, H, W) averaged to a size (H, W), or itself if it has it."""
    if tuple(image.shape[2:]) == tuple(size):
        return image
    return F.adaptive_avg_pool2d(image, list(size))
