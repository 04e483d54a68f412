"""How long something takes, in words of two units, and when it ends."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_WEEK = timedelta(days=7)
_LONGEST_S = 100 * 365 * 86_400.0  # nobody waits so long, and calendars have an end

NOT_KNOWN = "time left: not known yet"


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: no more digits than are known."""
    place = next((i for i, (_, size) in enumerate(_UNITS) if round(seconds) >= size), -1)
    unit, size = _UNITS[place]
    if unit == "s":
        return f"{round(seconds)} s"
    finer, part = _UNITS[place + 1]
    whole, rest = divmod(round(seconds / part), size // part)
    return f"{whole} {unit} {rest} {finer}" if rest else f"{whole} {unit}"


def end(seconds: float, now: datetime | None = None) -> str:
    """When something ends: ``14:32`` today, ``27 Nov 14:32`` within a week, else ``3 Dec 2026``.

    Args:
        seconds: until then; a hundred years at most.
        now: the time of the day here; None asks for it.
    """
    now = now or datetime.now()
    when = datetime.fromtimestamp(now.timestamp() + min(seconds, _LONGEST_S))
    if when.date() == now.date():
        return f"{when:%H:%M}"
    return f"{when.day} {when:%b %H:%M}" if when - now < _WEEK else f"{when.day} {when:%b %Y}"


def left(seconds: float | None, now: datetime | None = None) -> str:
    """``3 min 20 s left, until 14:32``; that nothing is known, if nothing is.

    Args:
        seconds: that are left.
        now: the time of the day here; None asks for it.
    """
    if seconds is None:
        return NOT_KNOWN
    return f"{duration(min(seconds, _LONGEST_S))} left, until {end(seconds, now)}"
