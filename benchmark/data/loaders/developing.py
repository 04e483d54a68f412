"""From the pixels of photographs, and what was drawn for each, to the pictures that are seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmark.data.loaders.draws import Draw
from benchmark.data.loaders.jittering import HUE, jitter, terms_of
from benchmark.data.loaders.resampling import Sides, resample, taps_for
from benchmark.data.loaders.table import PixelTable, sent

_STEP = 16
"""Room for crops is a multiple of so many pixels: memory of one size is found again."""
_OF_RESAMPLING = 12
"""The numbers of an image that say what is cut out and to what size it is brought."""


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
        (B, S, 3, S) uint8.
    """
    hues = _hues(draws) if colours else {}
    rows = [
        [*_cut(table, at, draw), *(_terms(draw, turned=bool(hues)) if colours else ())]
        for at, draw in zip(positions, draws, strict=True)
    ]
    # All numbers at once, because sending few takes as long as sending many.
    numbers = sent(torch.tensor(rows, dtype=torch.float64), table.pixels.device)
    images = _resampled(table, numbers, draws, size)
    if not colours:
        return images
    turns = torch.split(numbers[:, _OF_RESAMPLING:], 4, dim=1)
    turned = {turn: _sent_hues(whose, draws, table) for turn, whose in hues.items()}
    return jitter(images, turns, turned)


def _cut(table: PixelTable, position: int, draw: Draw) -> tuple[float, ...]:
    """What is cut out of an image: first pixel, stride, and down and across what ``Sides`` has."""
    window, width = draw.window, table.widths[position]
    origin = table.origins[position] + window.top * width + window.left
    return (origin, width, *window[2:8], 0, draw.mirrored, window.way, window.way)


def _terms(draw: Draw, *, turned: bool) -> Iterator[float]:
    """The numbers of an image's changes of colour, turn by turn; hue has one if any is turned."""
    for change in draw.colours.order:
        if change != HUE or turned:
            yield from terms_of(change, draw.colours.factors[change])


def _resampled(table: PixelTable, numbers: Tensor, draws: Sequence[Draw], size: int) -> Tensor:
    """Crops brought to one size, some of them mirrored: (B, S, 3, S) uint8."""
    crops = [(draw.window.height, draw.window.width) for draw in draws]
    fulls = [(draw.window.full_height, draw.window.full_width) for draw in draws]
    taps = max(map(taps_for, crops, fulls))
    height, width = (-(-(max(sides) + taps) // _STEP) * _STEP for sides in zip(*crops, strict=True))
    sides = Sides(*torch.split(numbers[:, 2:_OF_RESAMPLING], 2, dim=1))
    return resample(table.crops(numbers[:, :4].long(), (height, width)), sides, size, taps)


def _hues(draws: Sequence[Draw]) -> dict[int, list[int]]:
    """The images whose hue changes, by the turn at which it does."""
    hues: dict[int, list[int]] = {}
    for image, draw in enumerate(draws):
        if draw.colours.factors[HUE]:
            hues.setdefault(draw.colours.order.index(HUE), []).append(image)
    return hues


def _sent_hues(
    whose: Sequence[int], draws: Sequence[Draw], table: PixelTable
) -> tuple[Tensor, Tensor]:
    shares = [draws[image].colours.factors[HUE] for image in whose]
    device = table.pixels.device
    return sent(torch.tensor(whose), device), sent(torch.tensor(shares), device)
