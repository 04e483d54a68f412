"""How long something takes, in words of two units."""

from __future__ import annotations

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: no more digits than are known."""
    place = next((i for i, (_, size) in enumerate(_UNITS) if round(seconds) >= size), -1)
    unit, size = _UNITS[place]
    if unit == "s":
        return f"{round(seconds)} s"
    finer, part = _UNITS[place + 1]
    whole, rest = divmod(round(seconds / part), size // part)
    return f"{whole} {unit} {rest} {finer}" if rest else f"{whole} {unit}"
