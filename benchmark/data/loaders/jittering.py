"""Colour jitter of many images at once on the device, on whole numbers as albumentations has it.

Each image has its own factors and its own order of the four changes. Brightness, contrast and
saturation are one formula, ``a · pixel + b · grey + c``, cut off to 0 … 255 and brought to whole
numbers, with other numbers in it; in each of four turns every image fills in those of the change
that it is at. Hue needs a way of its own and is computed for those images alone whose turn it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
"""Numbers of the changes, as in albumentations' ``order``."""

_GREY = (9798, 19235, 3735)
"""OpenCV's weights of red, green and blue, in 2⁻¹⁵: sums of bytes are exact in float32."""
_HALF = 180
"""OpenCV's degrees in the circle of hues, of two each, so that one fits a byte."""


def jitter(images: Tensor, factors: Tensor, order: Tensor, hues: Sequence[Tensor | None]) -> Tensor:
    """Change the colours of images.

    Args:
        images: (B, S, 3, S) float32, whole numbers up to 255; overwritten.
        factors: (B, 4) float64, of brightness, contrast and saturation; the last one is by what
            share of the circle the hue is turned.
        order: (B, 4) int64, the changes in their order.
        hues: by turn, the numbers (C,) int64 of the images whose hue is turned then, or None if
            there are none: the device is not asked.

    Returns:
        The images (B, S, 3, S), whole numbers up to 255.
    """
    for turn, whose in enumerate(hues):
        change = order[:, turn]
        factor = factors.gather(1, change[:, None])[:, 0]
        factor = torch.where(change == HUE, 1.0, factor)
        grey = _grey(images)
        mean = grey.mean((1, 2), dtype=torch.float64)
        saturates = change == SATURATION
        of_grey = torch.where(saturates, 1 - factor, 0.0)
        # OpenCV rounds saturation; the tables of the other two cut off.
        plus = torch.where(change == CONTRAST, mean * (1 - factor), 0.0) + 0.5 * saturates
        grey.mul_(_each(of_grey)).add_(_each(plus))
        images.mul_(_each(factor)[:, None]).add_(grey[:, :, None]).clamp_(0, 255).floor_()
        if whose is not None:
            images[whose] = _turned(images[whose], factors[whose, HUE])
    return images


def _each(values: Tensor) -> Tensor:
    """One number an image, (B, 1, 1) float32."""
    return values.float()[:, None, None]


def _grey(images: Tensor) -> Tensor:
    """(B, S, S), whole numbers up to 255."""
    red, green, blue = images.unbind(2)
    grey = red * _GREY[0]
    grey.add_(green, alpha=_GREY[1]).add_(blue, alpha=_GREY[2])
    return grey.add_(2.0**14).mul_(2.0**-15).floor_()


def _turned(images: Tensor, shares: Tensor) -> Tensor:
    """Images (B, S, 3, S) with their hues turned, by way of hue, saturation and value in bytes."""
    red, green, blue = images.unbind(2)
    value, least = images.amax(2), images.amin(2)
    span = value - least
    sector = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * span, red - green + 4 * span),
    )
    hue = (sector * (_HALF / 6) / span.clamp_min(1)).round_()
    hue = torch.where(hue < 0, hue + _HALF, hue)
    saturation = (span * 255 / value.clamp_min(1)).round_() / 255
    sixths = ((hue + _each(_HALF * shares)) % _HALF).floor_() * (6 / _HALF)
    part = [(n + sixths) % 6 for n in (5, 3, 1)]
    lost = [torch.minimum(p, 4 - p).clamp_(0, 1) for p in part]
    return torch.stack([value * (1 - saturation * share) for share in lost], 2).round_()
