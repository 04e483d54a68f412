"""One spelling for equal values, and the identity of a run that is built on it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from benchmark.errors import RecordError
from benchmark.records.schema import RunSpec

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # json.dumps makes one a call
_SIMPLE = (str, float, int, bool, type(None))  # a value of these has no parts
_UNCHANGED = (bool, str)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: equal values give equal texts, different ones different texts.

    Keys are sorted and there is no white space. A number is spelled by its value alone: 4, 4.0 and
    40e-1 are the same (a setting may come as an integer from the command line, as a float from a
    default, and as either from a file that another program rewrote), and so are -0.0 and 0. Floats
    have the shortest digits that read back the same. Tuples are lists. True is not 1.

    Raises:
        RecordError: a number that is not finite, a key that is not text, or a type that JSON does
            not have; names the place.
    """
    try:
        return _ENCODER.encode(_plain(value))
    except _Unspellable as error:
        raise RecordError(f"the value{error.place} {error.fault}") from None


def equal(one: Any, other: Any) -> bool:
    """Whether two values have one canonical JSON; quicker than to write both."""
    if one is other:
        return True
    if type(one) is type(other) and type(one) in _SIMPLE:
        return bool(one == other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(v, other[key]) for key, v in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def in_words(value: Any) -> str:
    """A value for a reader: text as it is, anything else as canonical JSON."""
    if isinstance(value, str):
        return value
    return _number(value) if type(value) in _SIMPLE else canonical_json(value)


@lru_cache(maxsize=4096, typed=True)  # thousands of records have few numbers; True is not 1
def _number(value: float | None) -> str:
    return canonical_json(value)


def digest(value: Any) -> str:
    """Sha256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def identity_of(spec: RunSpec) -> str:
    """What makes a run the same run: a digest of everything that changes its result.

    Names of display (pair, protocol), where it ran, and what ran beside it are left out. The roles
    enter by their own identities, so a change in a teacher changes its students.
    """
    # Records of networks that are drawn are older than this key.
    start = {"starts_from": spec.starts_from} if spec.starts_from else {}
    return digest(
        start
        | {
            "dataset": spec.dataset,
            "data_revision": spec.data_revision,
            "network": spec.network,
            "recipe": spec.recipe,
            "recipe_version": spec.recipe_version,
            "settings": spec.settings,
            "protocol": spec.protocol_values,
            "seed": spec.seed,
            "roles": {name: role.identity for name, role in spec.roles.items()},
        }
    )


def recipe_label(recipe: str, changed: Mapping[str, Any]) -> str:
    """``NAME``, or ``NAME[key=value,…]`` with the settings that are not the defaults."""
    inside = ",".join(f"{key}={in_words(value)}" for key, value in sorted(changed.items()))
    return f"{recipe}[{inside}]" if inside else recipe


class _Unspellable(Exception):
    """A value that has no spelling: what is wrong with it, and the way to it from above."""

    def __init__(self, fault: str, place: str = "") -> None:
        super().__init__(fault)
        self.fault, self.place = fault, place


def _plain(value: Any) -> Any:
    """The value in types of JSON, with one type for equal numbers.

    Every record is spelled twice where it is read: the usual types of a mapping's values are told
    without a call, and a place has words only where something is wrong.
    """
    if value is None or isinstance(value, _UNCHANGED):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Unspellable(f"is {value}; use a finite number.")
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, list | tuple):
        return [_below(f"[{number}]", item) for number, item in enumerate(value)]
    raise _Unspellable(
        f"is a {type(value).__name__}; use numbers, text, true or false, lists and tables."
    )


def _plain_mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in values.items():
        if type(key) is not str and not isinstance(key, str):
            raise _Unspellable(f"has the key {key!r}; only text can be a key.")
        kind = type(item)
        if kind is str or kind is int:
            found[key] = item
        elif kind is float and math.isfinite(item):
            found[key] = int(item) if item.is_integer() else item
        else:
            found[key] = _below(f".{key}", item)
    return found


def _below(step: str, value: Any) -> Any:
    """A value inside another one, with the step that leads to it."""
    try:
        return _plain(value)
    except _Unspellable as error:
        raise _Unspellable(error.fault, step + error.place) from None
