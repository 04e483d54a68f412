"""The invented birds: body plans that families share, and the marks that tell species apart."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]

WHITE: Colour = (0.95, 0.94, 0.90)
BUFF: Colour = (0.88, 0.76, 0.54)
BLACK: Colour = (0.10, 0.10, 0.12)
RUST: Colour = (0.72, 0.34, 0.14)
RED: Colour = (0.80, 0.16, 0.14)
YELLOW: Colour = (0.93, 0.78, 0.18)


@dataclass(frozen=True)
class Family:
    """A body plan. Lengths are in units of about half a body; x points forward and y down.

    Attributes:
        name: one word.
        body: half length and half height of the trunk.
        tilt: tangent of half the angle by which the trunk is raised.
        head: x, y and radius.
        beak: length, half depth at the base and how far the tip drops.
        tail: x and y of the tip from its root, half width at the root and at the tip.
        legs: length.
        wing: half length and half height.
        back: colour of back, head and tail.
        belly: colour of the underside.
        wings: colour of the folded wing.
        accent: colour of the bold marks (cap, throat, collar).
        pale: colour of the fine marks (brow, ring, bars, tips).
    """

    name: str
    body: tuple[float, float]
    tilt: float
    head: tuple[float, float, float]
    beak: tuple[float, float, float]
    tail: tuple[float, float, float, float]
    legs: float
    wing: tuple[float, float]
    back: Colour
    belly: Colour
    wings: Colour
    accent: Colour
    pale: Colour


MARKS = (
    "cap",
    "brow",
    "ring",
    "throat",
    "collar",
    "spots",
    "bar",
    "second_bar",
    "patch",
    "tail_tip",
    "bill",
)
"""Every place where a species can differ from its family."""

FAMILIES = (
    Family(
        "wren",
        body=(0.78, 0.60),
        tilt=0.05,
        head=(0.66, -0.50, 0.42),
        beak=(0.42, 0.07, 0.06),
        tail=(-0.45, -0.62, 0.13, 0.15),
        legs=0.50,
        wing=(0.52, 0.30),
        back=(0.50, 0.36, 0.22),
        belly=(0.74, 0.63, 0.46),
        wings=(0.40, 0.28, 0.17),
        accent=BLACK,
        pale=WHITE,
    ),
    Family(
        "finch",
        body=(0.85, 0.52),
        tilt=0.18,
        head=(0.70, -0.52, 0.40),
        beak=(0.30, 0.17, 0.05),
        tail=(-0.78, 0.28, 0.14, 0.20),
        legs=0.42,
        wing=(0.60, 0.26),
        back=(0.42, 0.46, 0.24),
        belly=(0.78, 0.74, 0.50),
        wings=(0.30, 0.32, 0.20),
        accent=RED,
        pale=WHITE,
    ),
    Family(
        "plover",
        body=(0.88, 0.50),
        tilt=0.08,
        head=(0.78, -0.54, 0.38),
        beak=(0.34, 0.08, 0.02),
        tail=(-0.50, 0.06, 0.16, 0.10),
        legs=0.95,
        wing=(0.68, 0.26),
        back=(0.58, 0.50, 0.38),
        belly=(0.88, 0.86, 0.80),
        wings=(0.48, 0.41, 0.32),
        accent=BLACK,
        pale=WHITE,
    ),
    Family(
        "kingfisher",
        body=(0.72, 0.50),
        tilt=0.24,
        head=(0.56, -0.66, 0.46),
        beak=(0.78, 0.11, 0.04),
        tail=(-0.48, 0.30, 0.14, 0.12),
        legs=0.26,
        wing=(0.58, 0.26),
        back=(0.16, 0.44, 0.58),
        belly=(0.80, 0.52, 0.26),
        wings=(0.12, 0.34, 0.48),
        accent=RUST,
        pale=WHITE,
    ),
    Family(
        "tern",
        body=(0.98, 0.38),
        tilt=0.05,
        head=(0.92, -0.28, 0.32),
        beak=(0.46, 0.08, 0.05),
        tail=(-0.95, -0.06, 0.12, 0.05),
        legs=0.30,
        wing=(0.88, 0.22),
        back=(0.62, 0.66, 0.70),
        belly=(0.88, 0.89, 0.88),
        wings=(0.50, 0.54, 0.60),
        accent=BLACK,
        pale=WHITE,
    ),
    Family(
        "thrush",
        body=(0.90, 0.52),
        tilt=0.30,
        head=(0.66, -0.72, 0.37),
        beak=(0.36, 0.08, 0.03),
        tail=(-0.80, 0.52, 0.13, 0.15),
        legs=0.58,
        wing=(0.66, 0.26),
        back=(0.34, 0.33, 0.33),
        belly=(0.76, 0.70, 0.60),
        wings=(0.26, 0.25, 0.26),
        accent=RUST,
        pale=BUFF,
    ),
    Family(
        "heron",
        body=(0.78, 0.40),
        tilt=0.16,
        head=(0.92, -1.02, 0.26),
        beak=(0.62, 0.08, 0.03),
        tail=(-0.36, 0.20, 0.14, 0.08),
        legs=1.05,
        wing=(0.62, 0.26),
        back=(0.44, 0.48, 0.56),
        belly=(0.80, 0.80, 0.80),
        wings=(0.34, 0.38, 0.46),
        accent=BLACK,
        pale=YELLOW,
    ),
    Family(
        "duck",
        body=(1.02, 0.46),
        tilt=-0.02,
        head=(0.86, -0.60, 0.36),
        beak=(0.44, 0.11, 0.10),
        tail=(-0.36, -0.22, 0.16, 0.06),
        legs=0.20,
        wing=(0.72, 0.28),
        back=(0.42, 0.32, 0.24),
        belly=(0.66, 0.58, 0.48),
        wings=(0.34, 0.26, 0.22),
        accent=(0.10, 0.36, 0.22),
        pale=BUFF,
    ),
)
"""In the order in which a set of few families takes them."""

LOOKS: tuple[tuple[str, frozenset[str]], ...] = (
    ("browed", frozenset({"brow", "bar"})),
    ("ringed", frozenset({"ring", "bar", "second_bar"})),
    ("capped", frozenset({"cap", "tail_tip"})),
    ("throated", frozenset({"throat", "bar"})),
    ("collared", frozenset({"collar", "tail_tip", "ring"})),
    ("spotted", frozenset({"spots", "brow"})),
    ("patched", frozenset({"patch", "tail_tip"})),
    ("billed", frozenset({"bill", "bar", "second_bar"})),
)
"""The name of a species and its marks. Every family takes the first ones."""
