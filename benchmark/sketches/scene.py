"""Paints birds in their surroundings: pose, light, clutter and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.sketches.canvas import Canvas, Field, Frame, column
from benchmark.sketches.species import BLACK, MARKS, Family

BACKGROUND_BLOBS = 5
LEAVES = 3
GROUNDS = np.array([[0.45, 0.60, 0.75], [0.35, 0.48, 0.28], [0.58, 0.52, 0.40], [0.70, 0.74, 0.74]])
"""Sky, wood, earth and haze."""
NUMBERS = 256
"""Random numbers that a scene may use besides the noise."""


@dataclass(frozen=True)
class Kind:
    """What a class looks like: a family's body plan and the marks of one of its species."""

    family: Family
    marks: frozenset[str]


class Chance:
    """The random numbers of a batch of scenes, handed out one column after the other.

    Args:
        numbers: uniform in [0, 1), (N, NUMBERS). A picture's row is its own.
    """

    def __init__(self, numbers: NDArray[np.float64]) -> None:
        self.numbers = numbers
        self.used = 0

    def between(self, low: float, high: float) -> Field:
        """One number a picture, (N, 1, 1)."""
        return column(self._take(1)[:, 0] * (high - low) + low)

    def sign(self) -> Field:
        """-1 or 1 for every picture, (N, 1, 1)."""
        return column(np.where(self._take(1)[:, 0] < 0.5, -1.0, 1.0))

    def happens(self, probability: float) -> Field:
        """1 with this probability, else 0, (N, 1, 1)."""
        return column(np.where(self._take(1)[:, 0] < probability, 1.0, 0.0))

    def one_of(self, colours: NDArray[np.float64]) -> NDArray[np.float64]:
        """One of the colours (C, 3) for every picture, (N, 3)."""
        return colours[(self._take(1)[:, 0] * len(colours)).astype(np.int64)]

    def near(self, colour: Field, spread: float) -> Field:
        """A colour (N, 3) or (3,) whose lightness varies by the spread and whose hue by a third."""
        lightness = (self._take(1) * 2 - 1) * spread
        hue = (self._take(3) * 2 - 1) * (spread / 3)
        return np.clip(colour + lightness + hue, 0.02, 1).astype(np.float32)

    def _take(self, count: int) -> NDArray[np.float64]:
        self.used += count
        return self.numbers[:, self.used - count : self.used]


def paint_scenes(
    kinds: list[Kind], *, numbers: NDArray[np.float64], noise: NDArray[np.uint8], size: int
) -> NDArray[np.uint8]:
    """Paint one picture for every kind in the list.

    Args:
        kinds: what to paint, N entries.
        numbers: uniform in [0, 1), (N, NUMBERS): pose, light and surroundings.
        noise: random bytes, (N, size, size, 3).
        size: edge length in pixels.

    Returns:
        (N, size, size, 3).
    """
    chance = Chance(numbers)
    canvas = Canvas(len(kinds), size)
    _paint_background(canvas, chance)
    bird = _pose(canvas.frame, chance)
    _Bird(kinds, canvas, bird, chance).paint()
    _paint_foreground(canvas, chance)
    _shine(canvas, chance)
    strength = chance.between(0.02, 0.10)[..., None]
    grain = noise.astype(np.float32) / 255 - 0.5
    return canvas.finish(grain * strength)


def _pose(page: Frame, chance: Chance) -> Frame:
    scale = chance.between(0.41, 0.58)
    squeeze = chance.between(0.80, 1.0)
    at_x, at_y = chance.between(-0.22, 0.22), chance.between(-0.16, 0.24)
    mirror = chance.sign()
    turn = chance.between(-0.24, 0.24)
    return page.moved(at_x, at_y).scaled(mirror * scale * squeeze, scale).turned(turn)


def _paint_background(canvas: Canvas, chance: Chance) -> None:
    page = canvas.frame
    everywhere = np.ones((1, 1, 1), dtype=np.float32)
    for part in range(2):
        ground = chance.one_of(GROUNDS)
        cover = everywhere if part == 0 else np.clip(page.y * 2 + chance.between(-1, 1), 0, 1)
        canvas.paint(cover, chance.near(ground, 0.22))
    for _ in range(BACKGROUND_BLOBS):
        ground = chance.one_of(GROUNDS)
        blob = page.moved(chance.between(-1.1, 1.1), chance.between(-1.1, 1.1))
        blob = blob.turned(chance.between(-1, 1))
        cover = blob.ellipse(chance.between(0.10, 0.55), chance.between(0.06, 0.30))
        canvas.paint(cover * chance.between(0.3, 1), chance.near(ground, 0.30))
    _paint_twig(canvas, chance, chance.between(0.04, 0.09))


def _paint_twig(canvas: Canvas, chance: Chance, width: Field) -> None:
    edge = chance.sign()
    start = (edge * 1.2, chance.between(-1, 1))
    end = (chance.between(-0.8, 0.8), chance.between(-1, 1.2))
    cover = canvas.frame.stroke(start, end, widths=(width, width * 0.5))
    brown = np.array([0.30, 0.24, 0.17])
    canvas.paint(cover, chance.near(brown, 0.16))


def _paint_foreground(canvas: Canvas, chance: Chance) -> None:
    green = np.array([0.30, 0.42, 0.20])
    for _ in range(LEAVES):
        leaf = canvas.frame.moved(chance.between(-0.9, 0.9), chance.between(-0.9, 0.9))
        leaf = leaf.turned(chance.between(-1, 1))
        cover = leaf.ellipse(chance.between(0.10, 0.26), chance.between(0.05, 0.11))
        canvas.paint(cover * chance.happens(0.5), chance.near(green, 0.2))
    _paint_twig(canvas, chance, chance.between(0.0, 0.05))


def _shine(canvas: Canvas, chance: Chance) -> None:
    page = canvas.frame
    slope_x, slope_y = chance.between(-0.2, 0.2), chance.between(-0.25, 0.1)
    brightness = chance.between(0.65, 1.2)
    white = np.ones((1, 3))
    canvas.light(brightness * (1 + slope_x * page.x + slope_y * page.y), chance.near(white, 0.12))


class _Bird:
    """Paints the birds of a batch, part by part, from tail to beak."""

    def __init__(self, kinds: list[Kind], canvas: Canvas, frame: Frame, chance: Chance) -> None:
        self.kinds, self.canvas, self.frame, self.chance = kinds, canvas, frame, chance
        self.back = chance.near(self._colour("back"), 0.09)
        self.belly = chance.near(self._colour("belly"), 0.09)
        self.wings = chance.near(self._colour("wings"), 0.09)
        self.accent = chance.near(self._colour("accent"), 0.08)
        self.pale = chance.near(self._colour("pale"), 0.10)
        self.body = self._lengths("body")
        (tilt,) = self._lengths("tilt")
        self.trunk = frame.turned(-tilt)
        self.trunk_cover = self.trunk.ellipse(*self.body)
        self.marks = {
            mark: column(np.array([mark in kind.marks for kind in kinds], dtype=np.float64))
            for mark in MARKS
        }

    def paint(self) -> None:
        self._paint_legs()
        self._paint_tail()
        self._paint_trunk()
        self._paint_wing()
        self._paint_head()

    def _colour(self, part: str) -> NDArray[np.float64]:
        return np.array([getattr(kind.family, part) for kind in self.kinds])

    def _lengths(self, part: str) -> list[Field]:
        lengths = np.array([getattr(kind.family, part) for kind in self.kinds])
        return [column(length) for length in lengths.reshape(len(self.kinds), -1).T]

    def _paint_legs(self) -> None:
        width, height = self.body
        (length,) = self._lengths("legs")
        swing = self.chance.between(-0.15, 0.15)
        colour = self.chance.near(np.array([0.45, 0.34, 0.26]), 0.14)
        for side in (-0.12, 0.16):
            top = (width * side, height * 0.7)
            foot = (top[0] + swing + side, top[1] + length)
            self.canvas.paint(self.frame.stroke(top, foot, widths=(0.045, 0.045)), colour)

    def _paint_tail(self) -> None:
        reach_x, reach_y, root, tip = self._lengths("tail")
        wag = self.chance.between(-0.14, 0.14)
        start_x, start_y = -self.body[0] * 0.75, reach_y * 0.1
        end_x, end_y = start_x + reach_x, start_y + reach_y + wag
        cover = self.frame.stroke((start_x, start_y), (end_x, end_y), widths=(root, tip))
        self.canvas.paint(cover, self.back)
        near_tip = (start_x + reach_x * 0.78, start_y + (reach_y + wag) * 0.78)
        band = self.frame.stroke(near_tip, (end_x, end_y), widths=(tip, tip))
        self.canvas.paint(cover * band * self.marks["tail_tip"], self.pale)

    def _paint_trunk(self) -> None:
        width, height = self.body
        self.canvas.paint(self.trunk_cover, self.back)
        under = self.trunk.moved(width * 0.12, height * 0.42).ellipse(width * 0.92, height * 0.72)
        self.canvas.paint(self.trunk_cover * under, self.belly)
        for across, down in ((0.46, 0.10), (0.64, 0.34), (0.34, 0.42), (0.52, 0.62), (0.16, 0.66)):
            spot = self.trunk.moved(width * across, height * down)
            self.canvas.paint(spot.disc(0.085) * self.marks["spots"], self.wings)

    def _paint_wing(self) -> None:
        length, height = self._lengths("wing")
        lift = self.chance.between(-0.12, 0.12)
        wing = self.trunk.moved(length * -0.12, height * -0.10).turned(lift)
        cover = wing.ellipse(length, height)
        self.canvas.paint(cover, self.wings)
        for mark, at in (("bar", 0.36), ("second_bar", 0.02)):
            across = abs(wing.x - wing.y * 0.4 - length * at)
            bar = wing.inside(across - 0.075)
            self.canvas.paint(cover * bar * self.marks[mark], self.pale)
        patch = wing.moved(length * -0.42, height * 0.1)
        self.canvas.paint(cover * patch.ellipse(0.19, 0.14) * self.marks["patch"], self.accent)

    def _paint_head(self) -> None:
        x, y, radius = self._lengths("head")
        nod, stretch = self.chance.between(-0.08, 0.08), self.chance.between(-0.06, 0.06)
        x, y = x + stretch, y + nod
        nape, widths = (x * 0.45, np.zeros_like(x)), (radius * 0.9, radius * 0.75)
        neck = self.frame.stroke(nape, (x, y), widths=widths)
        self.canvas.paint(neck * (1 - self.trunk_cover), self.back)
        head = self.frame.moved(x, y).turned(self.chance.between(-0.10, 0.10))
        cover = head.disc(radius)
        self._paint_beak(head, radius)
        self.canvas.paint(cover, self.back)
        self._paint_head_marks(head, radius, cover)

    def _paint_beak(self, head: Frame, radius: Field) -> None:
        length, depth, drop = self._lengths("beak")
        root = (radius * 0.75, radius * 0.12)
        tip = (radius * 0.9 + length, radius * 0.12 + drop)
        cover = head.stroke(root, tip, widths=(depth, 0.015))
        horn = self.chance.near(np.array(BLACK) + 0.12, 0.08)
        self.canvas.paint(cover, horn)
        orange = self.chance.near(np.array([0.88, 0.52, 0.12]), 0.08)
        self.canvas.paint(cover * self.marks["bill"], orange)

    def _paint_head_marks(self, head: Frame, radius: Field, cover: Field) -> None:
        def at(across: float, down: float) -> tuple[Field, Field]:
            return radius * across, radius * down

        cap = head.inside(head.y + head.x * 0.15 + radius * 0.38)
        self.canvas.paint(cover * cap * self.marks["cap"], self.accent)
        throat = head.moved(*at(0.45, 0.75)).disc(radius * 0.52)
        self.canvas.paint(cover * throat * self.marks["throat"], self.accent)
        collar = head.stroke(at(-0.85, 0.30), at(0.30, 1.0), widths=(0.08, 0.08))
        self.canvas.paint(collar * self.marks["collar"], self.accent)
        brow = head.stroke(at(-0.65, -0.22), at(0.7, -0.30), widths=(0.07, 0.07))
        self.canvas.paint(cover * brow * self.marks["brow"], self.pale)
        eye = head.moved(*at(0.28, -0.02))
        self.canvas.paint(eye.disc(0.155) * self.marks["ring"], self.pale)
        black = np.broadcast_to(np.array(BLACK, dtype=np.float32), (len(self.kinds), 3))
        self.canvas.paint(eye.disc(0.075), black)
