"""How a recipe's settings are written for a reader: order, type, bounds, default."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
LONGEST = 8  # figures; 30000.0 and 0.02083 are no strain to read


def own_first(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """A recipe's own settings, then those that it shares with others; else in their order."""
    return dict(sorted(settings.items(), key=lambda item: "inherited_from" in item[1]))


def shown(value: object) -> str:
    """``0.02``; a number with too many figures as the fraction that it is, ``1/12``, or rounded."""
    text = str(value)
    if not isinstance(value, float) or len(text) <= LONGEST:
        return text
    fraction = Fraction(value).limit_denominator(1000)
    return str(fraction) if float(fraction) == value else f"{value:.4g}"


def kind(setting: Mapping[str, Any]) -> str:
    """``float``, ``float ≥ 0 and < 1``, or ``published or paper``."""
    if "choices" in setting:
        return " or ".join(map(str, setting["choices"]))
    bounds = [f"{SIGNS[name]} {shown(value)}" for name, value in setting.get("bounds", {}).items()]
    return " ".join([setting["type"], " and ".join(bounds)]).rstrip()


def another_value(setting: Mapping[str, Any]) -> str | None:
    """A value that is not the default, for an example; None if there is no obvious one.

    Another choice, the other truth value, or a number twice as large (half of it where that is out
    of bounds, 1 in the place of 0).
    """
    default = setting["default"]
    if "choices" in setting:
        return next((str(choice) for choice in setting["choices"] if choice != default), None)
    if isinstance(default, bool):
        return str(not default).lower()
    if not isinstance(default, int | float):
        return None
    for value in (2 * default or 1, default // 2 if isinstance(default, int) else default / 2):
        if value != default and _within(value, setting.get("bounds", {})):
            return f"{value:.12g}"
    return None


def _within(value: float, bounds: Mapping[str, float]) -> bool:
    return (
        value > bounds.get("gt", -float("inf"))
        and value >= bounds.get("ge", -float("inf"))
        and value < bounds.get("lt", float("inf"))
        and value <= bounds.get("le", float("inf"))
    )
