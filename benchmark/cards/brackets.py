"""Settings in brackets behind a name: ``NAME[key=value,…]``."""

from __future__ import annotations

import re

from benchmark.errors import UsageError, printable

_MOST_SIGNS = 2_000


def split_brackets(text: str) -> tuple[str, dict[str, str]]:
    """Read ``NAME`` or ``NAME[key=value,…]``.

    Raises:
        UsageError: the brackets do not close or an entry is not ``key=value``.
    """
    if len(text) > _MOST_SIGNS or not text.isprintable():
        raise UsageError(
            f"cannot read '{printable(text[:80])}': settings are one line of at most "
            f"{_MOST_SIGNS} signs."
        )
    match = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]*)\])?", text.strip())
    if match is None:
        raise UsageError(f"cannot read '{text}'. Write NAME or NAME[key=value,…].")
    name, inside = match.group(1).strip(), match.group(2) or ""
    settings: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in inside.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"cannot read '{part}' in '{text}'. Write NAME[key=value,…].")
        if key in settings:
            raise UsageError(f"'{key}' is given twice in '{text}'.")
        settings[key] = value
    return name, settings
