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
_OF_RESAMPLING = 10
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
        [*_sides(draw), *(_terms(draw, turned=bool(hues)) if colours else ())] for draw in draws
    ]
    # All numbers at once, because sending few takes as long as sending many.
    numbers = sent(torch.tensor(rows, dtype=torch.float64), table.pixels.device)
    taps = max(taps_for(*_sizes(draw)) for draw in draws)
    sides = Sides(*torch.split(numbers[:, :_OF_RESAMPLING], 2, dim=1))
    images = resample(_crops(table, positions, draws, taps), sides, size, taps)
    if not colours:
        return images
    turns = torch.split(numbers[:, _OF_RESAMPLING:], 4, dim=1)
    turned = {turn: _sent_hues(whose, draws, table) for turn, whose in hues.items()}
    return jitter(images, turns, turned)


def _crops(table: PixelTable, positions: Sequence[int], draws: Sequence[Draw], taps: int) -> Tensor:
    """The crops, each at the beginning of its room, (B, H, 3, W) float32.

    Copied one by one: on a CPU that takes a tenth of the time of one gather (at 112 pixels 9 µs an
    image), and fewer bytes are moved.
    """
    sizes = [(draw.window.height, draw.window.width) for draw in draws]
    high, wide = (-(-(max(sides) + taps) // _STEP) * _STEP for sides in zip(*sizes, strict=True))
    crops = torch.zeros(len(draws), high, 3, wide, device=table.pixels.device)
    for room, at, draw, (height, width) in zip(crops, positions, draws, sizes, strict=True):
        crop = table.crop(at, draw.window.top, draw.window.left, (height, width))
        room[:height, :, :width] = crop
    return crops


def _sizes(draw: Draw) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the crop, and to what it is brought."""
    window = draw.window
    return (window.height, window.width), (window.full_height, window.full_width)


def _sides(draw: Draw) -> tuple[float, ...]:
    """What ``Sides`` has of an image, down and across."""
    return (*draw.window[2:8], 0, draw.mirrored, draw.window.way, draw.window.way)


def _terms(draw: Draw, *, turned: bool) -> Iterator[float]:
    """The numbers of an image's changes of colour, turn by turn; hue has one if any is turned."""
    for change in draw.colours.order:
        if change != HUE or turned:
            yield from terms_of(change, draw.colours.factors[change])


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
