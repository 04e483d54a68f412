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
class Axis:
    """How one side of B crops is brought to S pixels; each field is (B,).

    Attributes:
        length: pixels of the crop.
        full: to how many pixels it is brought.
        first: the first one of those that is wanted; S follow.
        mirrored: bool, whether they are wanted in the opposite order.
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


def taps_for(length: int, full: int) -> int:
    """The most pixels of a crop of this length that one of the result looks at."""
    return max(2, -(-length // full) + 1)


def resample(crops: Tensor, axes: tuple[Axis, Axis], size: int, taps: tuple[int, int]) -> Tensor:
    """Bring crops to one size.

    Args:
        crops: (B, H, 3, W) float32, whole numbers up to 255; behind a crop's end, where there must
            be room for ``taps`` pixels, there may be any.
        axes: of the crops: down and across.
        size: height and width S of the result.
        taps: the most pixels that one of the result looks at, down and across, see ``taps_for``.

    Returns:
        (B, S, 3, S) float32, whole numbers up to 255.
    """
    images, height, _, width = crops.shape
    rows = _weights(axes[0], size, taps[0], room=height, unit=_BETWEEN)
    columns = _weights(axes[1], size, taps[1], room=width, unit=1 / _BETWEEN)
    tall = torch.bmm(rows, crops.view(images, height, 3 * width)).round_()
    both = torch.bmm(tall.view(images, size * 3, width), columns.transpose(1, 2))
    cut = torch.where(axes[0].way == AREA, 0.0, _CUT_OFF)[:, None, None]
    return both.sub_(cut).round_().view(images, size, 3, size)


def _weights(axis: Axis, size: int, taps: int, *, room: int, unit: float) -> Tensor:
    """What each pixel of the result takes from those of the crop along one side.

    Returns:
        (B, S, room) float32; each row sums up to ``unit``, in multiples of 2⁻¹¹ of it.
    """
    device, kind = axis.length.device, torch.float64
    place = torch.arange(size, device=device, dtype=kind)
    place = torch.where(axis.mirrored[:, None], size - 1 - place, place) + axis.first[:, None]
    start, shares = _shares(place, axis, taps)
    shares = (shares * _WEIGHT).round_()
    # What rounding left over or took too much.
    largest = shares.argmax(-1, keepdim=True)
    shares.scatter_add_(-1, largest, _WEIGHT - shares.sum(-1, keepdim=True))
    weights = torch.zeros(*place.shape, room, device=device)
    columns = start[..., None] + torch.arange(taps, device=device)
    return weights.scatter_(-1, columns, (shares * (unit / _WEIGHT)).float())


def _shares(place: Tensor, axis: Axis, taps: int) -> tuple[Tensor, Tensor]:
    """The first pixel that each of the result looks at, and the shares of it and those behind.

    Formulas of OpenCV's ``resize.cpp``.

    Args:
        place: (B, S) float64, of the pixels in the result.
        axis: of the crops.
        taps: how many shares.

    Returns:
        (B, S) int64, and (B, S, taps) float64.
    """
    # In OpenCV's order, because where a pixel ends at another's end the last digit decides.
    side, enlarged = axis.length[:, None], (axis.full / axis.length)[:, None]
    scale = 1 / enlarged
    by_area, averages = axis.way[:, None] != LINEAR, axis.way[:, None] == AREA
    begin, centre = place * scale, (place + 0.5) * scale - 0.5
    start = torch.where(by_area, begin, centre).floor()
    # Linear interpolation: the share of the second pixel, and none behind the ends.
    squeezed = (place + 1 - (start + 1) * enlarged).float().clamp_min(0).double()
    second = torch.where(by_area, squeezed, centre) % 1
    second = torch.where((start < 0) | (start >= side - 1), 0.0, second)
    start = start.clamp_min(0).minimum(side - 1)
    # Averages: how much of each pixel lies in [begin, end).
    end = torch.minimum(begin + scale, side)
    pixel = start[..., None] + torch.arange(taps, device=place.device)
    inside = torch.minimum(end[..., None], pixel + 1) - torch.maximum(begin[..., None], pixel)
    inside = inside.clamp_min(0) / (end - begin)[..., None]
    pair = torch.zeros_like(inside)
    pair[..., 0], pair[..., 1] = 1 - second, second
    return start.long(), torch.where(averages[..., None], inside, pair)
