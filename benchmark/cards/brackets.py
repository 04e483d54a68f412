"""Settings in brackets behind a name: ``NAME[key=value,…]``, and sweeps of them."""

from __future__ import annotations

import itertools
import math
import re

from benchmark.errors import UsageError, printable

_MOST_SIGNS = 2_000
OR = "|"  # between the values of a sweep
MOST_CHOICES = 1_000


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


def swept(text: str) -> list[str]:
    """Every choice of the values in ``NAME[key=value|value|…,…]``, the last key's changing first.

    Raises:
        UsageError: as of ``split_brackets``, or a value that is missing or there twice.
    """
    name, settings = split_brackets(text)
    if not any(OR in value for value in settings.values()):
        return [text]
    choices = {
        key: [value.strip() for value in values.split(OR)] for key, values in settings.items()
    }
    for key, values in choices.items():
        if "" in values:
            raise UsageError(f"'{key}' in '{text}' lacks a value. Write NAME[{key}=1{OR}2].")
        if len(set(values)) < len(values):
            raise UsageError(f"'{key}' in '{text}' has a value twice.")
    if (number := math.prod(map(len, choices.values()))) > MOST_CHOICES:
        raise UsageError(
            f"'{text[:80]}' is {number:,} choices of settings. Write {MOST_CHOICES:,} at most."
        )
    return [
        f"{name}[{','.join(f'{key}={value}' for key, value in zip(choices, chosen, strict=True))}]"
        for chosen in itertools.product(*choices.values())
    ]
