"""Whoever is killed, and whenever: the repeated command ends with all that an undisturbed one has.

The long form kills a thousand times, half of it at random moments and half at the n-th operation
on files, in every phase of a command.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.torture import shim
from tests.torture.amounts import FACTOR, logged, parts
from tests.torture.conftest import LOADED, ONE, WHOLE, Undisturbed
from tests.torture.ground import Ground, differences, trained_by
from tests.torture.nursery import Command, Nursery

OPERATIONS = 150  # to a kill, on the average; the start of a command does about twenty
LONGEST_S = 240.0  # of a command that nobody kills

# Who is killed, and how likely; a loader is there only with the loaded card.
WHO = {"tree": 4, "driver": 2, "worker": 2}
SHARES = {
    # kind: matrix, workers, parts of the long form, kills a part, mean time to a kill, who
    "kills-one-worker": (WHOLE, 1, 25, 20, 0.5, WHO),
    "kills-three-workers": (WHOLE, 3, 25, 20, 0.5, WHO),
    "kills-in-process": (WHOLE, 0, 5, 20, 0.5, {"driver": 1}),
    "kills-with-loaders": (LOADED, 2, 10, 8, 0.6, {**WHO, "loader": 6}),
}


@dataclass
class Campaign:
    """One matrix, trained by a command that is killed and repeated until it is done."""

    nursery: Nursery
    ground: Ground
    matrix: dict[str, Any]
    workers: int
    rng: random.Random
    mean_s: float
    who: dict[str, int]
    killed: dict[str, int] = field(default_factory=dict)
    commands: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        """Kill so many times at most, then let it end."""
        while True:
            self.commands += 1
            going_on = sum(self.killed.values()) < kills
            status, gave_up = self._one(kills if going_on else 0)
            if status == 0:
                self._once_more()
                return
            allowed = status is not None and (status < 0 or gave_up)
            if not allowed or self.commands > 10 * kills + 10:
                self.faults.append(f"ended with {status}: {self._out.read_text()[-1500:]}")
                return

    def _once_more(self) -> None:
        """Repeat what is done: nothing is trained, and what the dead left is swept up."""
        self.commands += 1
        out = self.ground.folder.with_suffix(".last")
        words = self.ground.words(workers=self.workers, **self.matrix)
        status = self.nursery.run(words, out=out, env=self.ground.environment)
        if status != 0 or [*trained_by(out.read_text())]:
            self.faults.append(f"done, yet ended with {status}: {out.read_text()[-1500:]}")

    def _one(self, kills: int) -> tuple[int | None, bool]:
        at_operation = kills and self.rng.random() < 0.5
        env = dict(self.ground.environment)
        if at_operation:
            what = "group" if "tree" in self.who and self.rng.random() < 0.7 else "kill"
            number = 1 + int(self.rng.expovariate(1 / OPERATIONS))
            env |= shim.at(number, what, under=self.ground.folder, count=self._count)
        command = self.nursery.start(
            self.ground.words(workers=self.workers, **self.matrix), out=self._out, env=env
        )
        reached = False
        while at_operation and not reached:
            status = command.wait(0.05)
            reached = shim.counted(self._count) >= number
            if reached:
                self._noted(f"at an operation on files, {what}")
            if status is not None:
                self._orphans(command)
                return status, reached and what == "kill"
        status, gave_up = self._at_moments(command, kills)
        return status, gave_up or reached

    def _at_moments(self, command: Command, kills: int) -> tuple[int | None, bool]:
        workers_killed = False
        while kills and sum(self.killed.values()) < kills:
            status = command.wait(self.rng.expovariate(1 / self.mean_s))
            if status is not None:
                return status, workers_killed
            who = self.rng.choices([*self.who], [*self.who.values()])[0]
            if not command.kill(who, self.rng):
                continue
            self._noted(who)
            if who in ("tree", "driver"):
                status = command.wait(30)
                if self.rng.random() < 0.5:  # else the next one begins while the old one dies
                    self._orphans(command)
                return status, workers_killed
            workers_killed = True
        status = command.wait(LONGEST_S)
        self._orphans(command)
        return status, workers_killed

    def _orphans(self, command: Command) -> None:
        if left := command.orphans():
            self.faults.append(f"lives on: {[process.cmdline() for process in left]}")

    def _noted(self, what: str) -> None:
        self.killed[what] = self.killed.get(what, 0) + 1

    @property
    def _out(self) -> Path:
        return self.ground.folder.with_suffix(".out")

    @property
    def _count(self) -> Path:
        return self.ground.folder.with_suffix(".count")


def campaign(
    nursery: Nursery, ground: Ground, expected: dict[str, str], part: int, kind: str, kills: int
) -> dict[str, Any]:
    """Kill, repeat, compare."""
    matrix, workers, _, _, mean_s, who = SHARES[kind]
    rng = random.Random(f"{kind} {part}")
    tried = Campaign(nursery, ground, matrix, workers, rng, mean_s, who)
    tried.run(kills)
    found = differences(expected, ground.state())
    counted = {name.replace(" ", "_"): len(files) for name, files in found.items()}
    faults = [
        *tried.faults,
        *(f"{name}: {file}" for name, files in found.items() for file in files),
    ]
    if not faults:
        shutil.rmtree(ground.folder)
    return {
        "kills": sum(tried.killed.values()),
        "killed": tried.killed,
        "commands": tried.commands,
        "runs": sum(name.startswith("results/") and name.endswith("json") for name in expected),
        **counted,
        "faults": faults,
    }


@pytest.mark.torture
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", SHARES)
def test_a_thousand_kills(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, kind: str
) -> None:
    matrix, _, many, kills, _, _ = SHARES[kind]
    faults: list[str] = []
    for part in range(parts(many)):
        found = logged(
            kind,
            part,
            lambda part=part: campaign(
                nursery, new_ground(f"{kind}-{part}"), undisturbed(**matrix), part, kind, kills
            ),
        )
        faults += [f"part {part}: {fault}" for fault in found["faults"]]
    assert faults == []


@pytest.mark.parametrize("workers", [1, 3])
def test_a_few_kills(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, workers: int
) -> None:
    if FACTOR:
        pytest.skip("the long form kills more often")
    ground = new_ground(f"kills-{workers}")
    tried = Campaign(nursery, ground, ONE, workers, random.Random(workers), 0.5, WHO)
    tried.run(4)
    assert tried.faults == []
    nothing = {"lost": [], "too much": [], "different": []}
    assert differences(undisturbed(**ONE), ground.state()) == nothing
