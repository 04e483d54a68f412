"""One spelling for equal values, and the identity of a run that is built on it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from benchmark.errors import RecordError
from benchmark.records.schema import RunSpec


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
    return json.dumps(_plain(value, "the value"), sort_keys=True, separators=(",", ":"))


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
    inside = ",".join(
        f"{key}={value if isinstance(value, str) else canonical_json(value)}"
        for key, value in sorted(changed.items())
    )
    return f"{recipe}[{inside}]" if inside else recipe


def _plain(value: Any, place: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RecordError(f"{place} is {value}; use a finite number.")
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise RecordError(f"{place} has the key {key!r}; only text can be a key.")
        return {key: _plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{number}]") for number, item in enumerate(value)]
    raise RecordError(
        f"{place} is a {type(value).__name__}; use numbers, text, true or false, lists and tables."
    )
