"""A batch of small pictures painted with exact arithmetic.

Every operation here is one that IEEE 754 rounds correctly (add, subtract, multiply, divide, square
root, comparison), applied elementwise by numpy in float32 and in a fixed order. No sine, no power,
no matrix product and no reduction is used, because their last bits depend on the library and on
the processor. The same inputs therefore give the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""One float32 a picture and pixel (N, H, W), or broadcastable to it: (N, 1, 1)."""

SUPERSAMPLING = 2


def column(values: Field) -> Field:
    """One number a picture (N,), ready to be combined with fields."""
    return values.astype(np.float32)[:, None, None]


@dataclass(frozen=True)
class Frame:
    """Where every pixel lies in the coordinates of a thing that is painted, x right and y down.

    Attributes:
        x: (N, H, W).
        y: (N, H, W).
        pixel: (N, 1, 1), the width of a pixel in these coordinates; edges are that soft.
    """

    x: Field
    y: Field
    pixel: Field

    @classmethod
    def of_page(cls, pictures: int, size: int) -> Frame:
        """The whole picture, from -1 to 1 in both directions."""
        steps = size * SUPERSAMPLING
        centres = (np.arange(steps, dtype=np.float32) * 2 + 1) / np.float32(steps) - 1
        shape = (pictures, steps, steps)
        return cls(
            x=np.broadcast_to(centres[None, None, :], shape),
            y=np.broadcast_to(centres[None, :, None], shape),
            pixel=np.full((pictures, 1, 1), 2 / steps, dtype=np.float32),
        )

    def moved(self, x: Field, y: Field) -> Frame:
        """The frame of a thing whose centre is at (x, y)."""
        return Frame(self.x - x, self.y - y, self.pixel)

    def turned(self, turn: Field) -> Frame:
        """The frame of a thing turned clockwise by the angle whose half has this tangent."""
        scale = 1 / (1 + turn * turn)
        cosine, sine = (1 - turn * turn) * scale, 2 * turn * scale
        return Frame(self.x * cosine + self.y * sine, self.y * cosine - self.x * sine, self.pixel)

    def scaled(self, x: Field, y: Field) -> Frame:
        """The frame of a thing that is larger by x and y; a negative factor mirrors it."""
        return Frame(self.x / x, self.y / y, self.pixel / abs(y))

    def disc(self, radius: Field | float) -> Field:
        """How much of every pixel a disc around the origin covers, 0 to 1."""
        return self.inside(np.sqrt(self.x * self.x + self.y * self.y) - radius)

    def ellipse(self, width: Field | float, height: Field | float) -> Field:
        """The same for an ellipse with these half axes."""
        x, y = self.x / width, self.y / height
        return self.inside((np.sqrt(x * x + y * y) - 1) * np.minimum(width, height))

    def stroke(
        self,
        start: tuple[Field, Field],
        end: tuple[Field, Field],
        *,
        widths: tuple[Field | float, Field | float],
    ) -> Field:
        """The same for a line whose half width goes from the first to the second."""
        run, rise = end[0] - start[0], end[1] - start[1]
        x, y = self.x - start[0], self.y - start[1]
        along = np.clip((x * run + y * rise) / (run * run + rise * rise), 0, 1)
        x, y = x - along * run, y - along * rise
        return self.inside(np.sqrt(x * x + y * y) - (widths[0] + along * (widths[1] - widths[0])))

    def inside(self, distance: Field) -> Field:
        """The same for any shape, given the signed distance to its edge (negative inside)."""
        return np.clip(0.5 - distance / self.pixel, 0, 1)


class Canvas:
    """Colour planes of a batch of pictures, painted over one another.

    Args:
        pictures: how many.
        size: edge length in pixels of the finished pictures.
    """

    def __init__(self, pictures: int, size: int) -> None:
        steps = size * SUPERSAMPLING
        self.planes = np.zeros((3, pictures, steps, steps), dtype=np.float32)
        self.frame = Frame.of_page(pictures, size)

    def paint(self, cover: Field, colour: Field) -> None:
        """Lay a colour (N, 3) over the pictures where a shape covers them."""
        for plane, value in zip(self.planes, colour.T, strict=True):
            plane += cover * (value[:, None, None] - plane)

    def light(self, factor: Field, tint: Field) -> None:
        """Multiply by a factor (N, H, W) and by a tint (N, 3)."""
        for plane, value in zip(self.planes, tint.T, strict=True):
            plane *= factor * value[:, None, None]

    def finish(self, noise: Field) -> NDArray[np.uint8]:
        """Average the samples of every pixel, add noise (N, H, W, 3) and round to bytes."""
        rows = self.planes[:, :, 0::2] + self.planes[:, :, 1::2]
        pixels = (rows[..., 0::2] + rows[..., 1::2]) * 0.25
        colours = pixels.transpose(1, 2, 3, 0) + noise
        # floor(x + 1/2) instead of rint: the rule is then visible and free of rounding modes.
        return np.floor(np.clip(colours, 0, 1) * 255 + 0.5).astype(np.uint8)
