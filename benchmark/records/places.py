"""Where the record of a run lies below a folder of results: names that are safe on every disk."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from benchmark.records.canonical import canonical_json, digest
from benchmark.records.schema import RunSpec

# The folders beside those of the data sets that hold JSON files and no records.
ATTESTED = "attested"
SPEED = "speed"
NO_RECORDS = frozenset({ATTESTED, SPEED})
LONGEST_SUFFIX = 80
LONGEST_NAME = 80  # with the suffixes of settings, protocol and variant less than the 255 of a disk


def place_of(spec: RunSpec) -> PurePath:
    """``DATASET/TEACHER__STUDENT/RECIPE/seedK.json``.

    Runs without roles are in ``DATASET/NETWORK/RECIPE``. Settings that are not the defaults, a
    protocol that is not the default and a variant are added to the recipe's folder. Versions of
    recipe and data are not in the path: a new result takes the place of the stale one.
    """
    dataset = spelled(spec.dataset)
    if dataset in NO_RECORDS:
        dataset += "~" + digest(spec.dataset)[:8]
    return PurePath(dataset, _networks(spec), _recipe(spec), f"seed{spec.seed}.json")


def record_files(root: Path) -> list[Path]:
    """Files below a folder of results that should be records.

    Hidden ones are left out, as editors and notebooks keep copies so. Folders that are links are
    looked into, each once; those that lead to another place of the same results are not.
    """
    found: list[str] = []
    top, seen = os.path.realpath(root), set[str]()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen or (os.path.islink(folder) and is_inside(real, top) and real != top):
            folders.clear()
            continue
        seen.add(real)
        aside = NO_RECORDS if Path(folder) == root else frozenset[str]()
        folders[:] = [name for name in folders if name[:1] != "." and name not in aside]
        names = (name for name in files if name[:1] != "." and name.endswith(".json"))
        found += (path for name in names if os.path.isfile(path := os.path.join(folder, name)))
    # By folders, as paths are sorted: of 'kd' and 'kd,alpha=2' all of the first come first.
    return [Path(path) for path in sorted(found, key=lambda path: path.split(os.sep))]


def other_roots(root: Path) -> list[Path]:
    """Other folders of records than one: every ``NAME/results`` in the working folder.

    Args:
        root: whose records are looked at.
    """
    here = os.path.realpath(root)
    return [
        path
        for path in sorted(Path().glob("*/results"))
        if os.path.realpath(path) != here and record_files(path)
    ]


def is_inside(real: str, top: str) -> bool:
    """Whether a path lies in a folder; both without links."""
    return os.path.commonpath([real, top]) == top


def _networks(spec: RunSpec) -> str:
    if not spec.roles:
        return spelled(spec.network)
    role = "teacher" if "teacher" in spec.roles else min(spec.roles)
    return f"{spelled(spec.roles[role].network)}__{spelled(spec.network)}"


def _recipe(spec: RunSpec) -> str:
    folder = spelled(spec.recipe) + _settings(spec.changed)
    if not spec.default_protocol:
        folder += "+" + _protocol(spec.protocol)
    if spec.variant:
        folder += "~" + digest(spec.variant)[:8]
    return folder


@lru_cache(maxsize=4096)  # a folder of a thousand records has few names
def spelled(name: str) -> str:
    """A name for a folder. Injective: what is not plain gets a digest behind a ``~``."""
    base = name.removeprefix("timm/")
    # No double underscore, which stands between teacher and student.
    plain = re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?!_|$))*", base)
    if plain and len(name) <= LONGEST_NAME and not base.startswith("timm-"):
        return name.replace("/", "-")
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:40].strip(".-") + "~" + digest(name)[:8]


def _settings(changed: Mapping[str, Any]) -> str:
    """``,key=value,key=value`` or, if that is not safe or too long, a comma and a digest."""
    if not changed:
        return ""
    parts = [f"{key}={_value(changed[key])}" for key in sorted(changed)]
    text = "".join(f",{part}" for part in parts)
    # Lower case only: some file systems do not tell Alpha from alpha.
    safe = all(re.fullmatch(r"[a-z0-9_]+=[a-z0-9._-]+", part) for part in parts)
    return text if safe and len(text) <= LONGEST_SUFFIX else "," + digest(dict(changed))[:12]


def _value(value: Any) -> str:
    """Text as it is, unless it could be taken for a number; else canonical JSON."""
    text = canonical_json(value)
    if not isinstance(value, str):
        return text
    try:
        json.loads(value)
    except json.JSONDecodeError:
        return value
    return text


def _protocol(name: str) -> str:
    plain = re.fullmatch(r"([a-z0-9_-]+)(?:\[([a-z0-9_]+=[a-z0-9._,=-]+)\])?", name)
    if plain is None or len(name) > LONGEST_SUFFIX:
        return spelled(name.partition("[")[0]) + "," + digest(name)[:12]
    return plain[1] + (f",{plain[2]}" if plain[2] else "")
