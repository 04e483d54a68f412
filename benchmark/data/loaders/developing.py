"""From the pixels of photographs, and what was drawn for each, to the pictures that are seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.data.loaders.draws import Draw, Window
from benchmark.data.loaders.jittering import HUE, jitter
from benchmark.data.loaders.resampling import Axis, resample, taps_for
from benchmark.data.loaders.table import PixelTable, sent

_STEP = 16
"""Room for crops is a multiple of so many pixels: memory of one size is found again."""


def develop(
    table: PixelTable, positions: Sequence[int], draws: Sequence[Draw], *, size: int, colours: bool
) -> Tensor:
    """Crop, resize, mirror and colour some photographs.

    Args:
        table: of their pixels.
        positions: of B photographs in it.
        draws: what happens to each.
        size: height and width S of the result.
        colours: whether colours are changed at all.

    Returns:
        (B, S, 3, S) float32, whole numbers up to 255.
    """
    numbers = [
        (
            table.origins[at] + draw.window.top * table.widths[at] + draw.window.left,
            table.widths[at],
            draw.mirrored,
            *draw.window[2:],
            *draw.colours.factors,
            *draw.colours.order,
        )
        for at, draw in zip(positions, draws, strict=True)
    ]
    # All of them at once, because sending few takes as long as sending many.
    device = table.pixels.device
    columns = sent(torch.tensor(numbers, dtype=torch.float64), device).unbind(1)
    images = _resampled(table, columns[:10], [draw.window for draw in draws], size)
    if not colours:
        return images
    factors, order = torch.stack(columns[10:14], 1), torch.stack(columns[14:], 1).long()
    hues = [sent(torch.tensor(whose), device) if whose else None for whose in _hues(draws)]
    return jitter(images, factors, order, hues)


def _resampled(
    table: PixelTable, columns: Sequence[Tensor], windows: Sequence[Window], size: int
) -> Tensor:
    """Crops brought to one size, some of them mirrored: (B, S, 3, S)."""
    origin, stride, mirrored, height, width, full_height, full_width, row, column, way = columns
    never = torch.zeros_like(mirrored)
    down = Axis(height, full_height, row, never.bool(), way)
    across = Axis(width, full_width, column, mirrored.bool(), way)
    taps = (
        max(taps_for(window.height, window.full_height) for window in windows),
        max(taps_for(window.width, window.full_width) for window in windows),
    )
    room = (
        _rounded_up(max(window.height for window in windows) + taps[0]),
        _rounded_up(max(window.width for window in windows) + taps[1]),
    )
    sides = height.long(), width.long()
    crops = table.crops(origin.long(), stride.long(), sides, room)
    return resample(crops, (down, across), size, taps)


def _rounded_up(pixels: int) -> int:
    return -(-pixels // _STEP) * _STEP


def _hues(draws: Sequence[Draw]) -> list[list[int]]:
    """The images whose hue changes, by the turn at which it does."""
    hues: list[list[int]] = [[], [], [], []]
    for image, draw in enumerate(draws):
        if draw.colours.factors[HUE]:
            hues[draw.colours.order.index(HUE)].append(image)
    return hues
