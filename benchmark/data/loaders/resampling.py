"""Crops of many sizes brought to one, many at once on the device, as OpenCV does it one by one.

Linear interpolation and averaging over areas are linear in rows and in columns. A crop of h x w
pixels becomes S x S by two products, ``R · crop · Cᵀ``: each row of R (S, h) says what a row of the
result takes from the rows of the crop, and C (S, w) says the same of columns. They are dense,
although only a few numbers of a row are not 0: a GPU multiplies faster than it gathers.

**Results are exact, and so the same on every device and whatever else is in the batch.** Weights
are multiples of 2⁻¹¹, as OpenCV's own are for linear interpolation, and what lies between the two
products is rounded to 2⁻⁵. All sums are then multiples of 2⁻¹⁶ up to 2⁸, which float32 holds in
whatever order they are added.

Compared with OpenCV 5.0 on crops of CUB: no byte differs by more than 1. Where both sides shrink,
one in 170 differs; otherwise one in nine, most of them because OpenCV cuts off between its steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LINEAR, MIXED, AREA = range(3)
"""Ways: ``INTER_LINEAR``; ``INTER_AREA`` where one side becomes larger, for which OpenCV takes
another kind of linear interpolation; ``INTER_AREA`` where none does, an average over areas."""

_WEIGHT = 2.0**11
_BETWEEN = 2.0**5
_CUT_OFF = 2.0**-3
"""Of a grey level, what OpenCV's linear interpolation of bytes loses on average where it cuts off
digits between its steps."""


@dataclass(frozen=True)
class Sides:
    """How both sides of B crops are brought to S pixels: (B, 2) float64 each, down and across.

    Attributes:
        length: pixels of the crop.
        full: to how many pixels it is brought.
        first: the first one of those that is wanted; S follow.
        mirrored: whether they are wanted in the opposite order.
        way: LINEAR, MIXED or AREA.
    """

    length: Tensor
    full: Tensor
    first: Tensor
    mirrored: Tensor
    way: Tensor


def way_of(crop: tuple[int, int], full: tuple[int, int], *, area: bool) -> int:
    """How OpenCV brings a crop to a size, if it is asked for ``INTER_AREA`` or ``INTER_LINEAR``."""
    if not area:
        return LINEAR
    return AREA if crop[0] >= full[0] and crop[1] >= full[1] else MIXED


def taps_for(crop: tuple[int, int], full: tuple[int, int]) -> int:
    """The most pixels of a crop's row or column that one of the result looks at."""
    return max(2, 1 + max(-(-one // other) for one, other in zip(crop, full, strict=True)))


def resample(crops: Tensor, sides: Sides, size: int, taps: int) -> Tensor:
    """Bring crops to one size.

    Args:
        crops: (B, H, 3, W) float32, whole numbers up to 255; behind a crop's end, where there must
            be room for ``taps`` pixels, there may be any.
        sides: of the crops.
        size: height and width S of the result.
        taps: the most pixels that one of the result looks at, down or across, see ``taps_for``.

    Returns:
        (B, S, 3, S) uint8.
    """
    images, height, _, width = crops.shape
    weights = _weights(sides, size, taps, max(height, width))
    rows, columns = weights[:, 0, :, :height], weights[:, 1, :, :width]
    tall = torch.bmm(rows, crops.view(images, height, 3 * width)).round_()
    both = torch.bmm(tall.view(images, size * 3, width), columns.transpose(1, 2))
    up = torch.where(sides.way[:, 0] == AREA, 0.5, 0.5 - _CUT_OFF)[:, None, None]
    return both.add_(up).byte().view(images, size, 3, size)


def _weights(sides: Sides, size: int, taps: int, room: int) -> Tensor:
    """What each pixel of the result takes from those of the crop, along either side.

    Returns:
        (B, 2, S, room) float32; each row sums up to 2⁵ down and to 2⁻⁵ across, in multiples of
        2⁻¹¹ of that.
    """
    device = sides.length.device
    place = torch.arange(size, device=device, dtype=torch.float64)
    place = torch.where(sides.mirrored[..., None] > 0, size - 1 - place, place)
    start, shares = _shares(place + sides.first[..., None], sides, taps)
    shares = (shares * _WEIGHT).round_()
    # What rounding left over or took too much.
    tap = torch.arange(taps, device=device)
    largest = tap == shares.argmax(-1, keepdim=True)
    shares += largest * (_WEIGHT - shares.sum(-1, keepdim=True))
    weights = torch.zeros(*place.shape, room, device=device)
    columns = start[..., None] + tap
    shares[:, 0] *= _BETWEEN / _WEIGHT
    shares[:, 1] /= _BETWEEN * _WEIGHT
    return weights.scatter_(-1, columns, shares.float())


def _shares(place: Tensor, sides: Sides, taps: int) -> tuple[Tensor, Tensor]:
    """The first pixel that each of the result looks at, and the shares of it and those behind.

    Formulas of OpenCV's ``resize.cpp``.

    Args:
        place: (B, 2, S) float64, of the pixels in the result.
        sides: of the crops.
        taps: how many shares.

    Returns:
        (B, 2, S) int64, and (B, 2, S, taps) float64.
    """
    # In OpenCV's order, because where a pixel ends at another's end the last digit decides.
    length, enlarged = sides.length[..., None], (sides.full / sides.length)[..., None]
    scale = 1 / enlarged
    by_area, averages = sides.way[..., None] != LINEAR, sides.way[..., None] == AREA
    begin, centre = place * scale, (place + 0.5) * scale - 0.5
    start = torch.where(by_area, begin, centre).floor()
    # Linear interpolation: the share of the second pixel, and none behind the ends.
    squeezed = (place + 1 - (start + 1) * enlarged).float().clamp_min(0).double()
    second = torch.where(by_area, squeezed, centre) % 1
    second = torch.where((start < 0) | (start >= length - 1), 0.0, second)
    start = start.clamp_min(0).minimum(length - 1)
    # Averages: how much of each pixel lies in [begin, end).
    end = torch.minimum(begin + scale, length)
    pixel = start[..., None] + torch.arange(taps, device=place.device)
    inside = torch.minimum(end[..., None], pixel + 1) - torch.maximum(begin[..., None], pixel)
    inside = inside.clamp_min(0) / (end - begin)[..., None]
    pair = torch.zeros_like(inside)
    pair[..., 0], pair[..., 1] = 1 - second, second
    return start.long(), torch.where(averages[..., None], inside, pair)
