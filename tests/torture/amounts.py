"""How much is broken: a little in the suite, much in the long form; what came of it is logged.

``KDBENCH_TORTURE`` asks for the long form: 1 stands for the figures of ``docs/reliability.md``, 0.1
for a tenth of them. The log is a folder, ``KDBENCH_TORTURE_LOG`` or ``.torture``: one line of JSON
for every part that is done. A part that is there is not done again, so that the long form can be
stopped and repeated; ``python -m tests.torture.amounts`` adds the lines up.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

FACTOR = float(os.environ.get("KDBENCH_TORTURE") or 0)
LOG = Path(os.environ.get("KDBENCH_TORTURE_LOG") or ".torture")
OF_A_PART = ("kind", "part", "seconds", "when", "machine", "faults")


def amount(short: int, long: int) -> int:
    """A number of things in the form that was asked for."""
    return max(short, round(FACTOR * long)) if FACTOR else short


def parts(number: int) -> int:
    """A number of parts in the long form; the short form has one."""
    return max(1, round(FACTOR * number)) if FACTOR else 1


def logged(kind: str, part: int, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do a part, unless the log of the long form has it.

    Args:
        kind: of what is broken; one file of the log.
        part: its number, which is also its seed.
        do: gives what was counted, and under ``faults`` what should not be.
    """
    file = LOG / f"{kind}.jsonl"
    if FACTOR and file.exists():
        for line in file.read_text().splitlines():
            known: dict[str, Any] = json.loads(line)
            if known["part"] == part and not known["faults"]:
                return known
    begun = time.monotonic()
    found = {"kind": kind, "part": part, **do()}
    found |= {"seconds": round(time.monotonic() - begun, 1), "machine": platform.machine()}
    found["when"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if FACTOR:
        LOG.mkdir(parents=True, exist_ok=True)
        with file.open("a") as log:
            log.write(json.dumps(found) + "\n")
    return found


def figures() -> dict[str, dict[str, Any]]:
    """The sums of the log, by kind; of a part that was repeated the last counts."""
    sums: dict[str, dict[str, Any]] = {}
    for file in sorted(LOG.glob("*.jsonl")):
        last = {line["part"]: line for line in map(json.loads, file.read_text().splitlines())}
        total: dict[str, Any] = defaultdict(int)
        for line in last.values():
            total["parts"] += 1
            total["seconds"] += round(line["seconds"])
            total["faults"] += len(line["faults"])
            for name, value in line.items():
                if name not in OF_A_PART and isinstance(value, int):
                    total[name] += value
                if name not in OF_A_PART and isinstance(value, dict):
                    inside = total[name] or {}
                    total[name] = {k: inside.get(k, 0) + value.get(k, 0) for k in inside | value}
        sums[file.stem] = dict(total)
    return sums


if __name__ == "__main__":
    for kind, found in figures().items():
        print(json.dumps({"kind": kind} | found))  # noqa: T201
