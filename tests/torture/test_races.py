"""Commands on one folder: each run is trained once, whoever sleeps, and whatever clocks say."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.torture.amounts import FACTOR, logged, parts
from tests.torture.conftest import ONE, SMALL, WHOLE, Undisturbed
from tests.torture.ground import Ground, differences, trained_by
from tests.torture.nursery import Command, Nursery

LONGEST_S = 600.0
SHORT_LEASE = {"TORTURE_LEASE": "0.2 1.5"}  # a beat and an expiry in seconds


def together(
    nursery: Nursery, ground: Ground, count: int, **matrix: Any
) -> tuple[list[Command], float]:
    """Start so many commands at once, each with one worker; until when all have ended."""
    begun = time.monotonic()
    commands = [
        nursery.start(
            ground.words(workers=1, **matrix),
            out=ground.folder.with_suffix(f".out{number}"),
            env=ground.environment,
        )
        for number in range(count)
    ]
    for command in commands:
        assert command.wait(LONGEST_S) == 0, command.said()
    return commands, time.monotonic() - begun


def race(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, part: int,
    matrix: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Four commands, then one, or the other way round; their times and what they trained."""
    seconds: dict[int, float] = {}
    said: list[Counter[str]] = []
    faults: list[str] = []
    for count in (4, 1) if part % 2 else (1, 4):
        ground = new_ground(f"race-{part}-{count}")
        commands, seconds[count] = together(nursery, ground, count, **matrix)
        labels = Counter(label for command in commands for label in trained_by(command.said()))
        said.append(labels)
        for name, files in differences(undisturbed(**matrix), ground.state()).items():
            faults += [f"{count} commands: {name}: {file}" for file in files]
        trained = sum(labels.values())
        runs = len([*ground.results.rglob("*.json")])
        if trained != runs:
            faults.append(f"{count} commands trained {trained} runs of {runs}")
    if said[0] != said[1]:  # labels say no seed
        faults.append(f"not trained equally often: {said}")
    return {
        "races": 1,
        "milliseconds_of_one": round(1000 * seconds[1]),
        "milliseconds_of_four": round(1000 * seconds[4]),
        "load": round(os.getloadavg()[0], 1),
        "faults": faults,
    }


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_four_commands_train_each_run_once(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> None:
    faults: list[str] = []
    for part in range(parts(10)):
        found = logged(
            "races",
            part,
            lambda part=part: race(nursery, new_ground, undisturbed, part, WHOLE),
        )
        faults += found["faults"]
    assert faults == []


def test_commands_that_race_train_each_run_once(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> None:
    if FACTOR:
        pytest.skip("the long form races more often")
    assert race(nursery, new_ground, undisturbed, 0, SMALL)["faults"] == []


def sleeping(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, part: int
) -> dict[str, Any]:
    """A command sleeps longer than its lease, as a laptop does; another takes its runs over.

    The claims speak of another machine, on which nobody can see whether a process lives.
    """
    rng = random.Random(f"sleeping {part}")
    ground = new_ground(f"sleeping-{part}")
    env = ground.environment | SHORT_LEASE | {"TORTURE_SYSTEM": "1"}
    words = ground.words(workers=rng.choice([0, 1]), **ONE)
    first = nursery.start(words, out=ground.folder.with_suffix(".out0"), env=env)
    while not [*ground.runs.glob("*/claim-*")] and first.wait(0.02) is None:
        pass
    first.wait(rng.random() * 0.8)  # what it trains takes about two seconds
    slept = _signalled(first, signal.SIGSTOP)
    second = nursery.start(
        words, out=ground.folder.with_suffix(".out1"), env=env | {"TORTURE_SYSTEM": "2"}
    )
    wake = rng.choice([2.5, 4.0, 60.0])
    status = second.wait(wake)
    slept &= _signalled(first, signal.SIGCONT)
    statuses = [first.wait(LONGEST_S), second.wait(LONGEST_S) if status is None else status]
    faults = [] if statuses == [0, 0] else [f"{statuses}: {first.said()} {second.said()}"[-3000:]]
    labels = Counter(label for one in (first, second) for label in trained_by(one.said()))
    faults += [f"{label} was recorded {n} times" for label, n in labels.items() if n > 1]
    again = ground.folder.with_suffix(".again")
    if nursery.run(words, out=again, env=ground.environment) or [*trained_by(again.read_text())]:
        faults.append(f"not done: {again.read_text()}"[-1500:])
    behind = 0
    for name, files in differences(undisturbed(**ONE), ground.state()).items():
        # The sleeper goes on until it wants to record, and writes its own history meanwhile.
        working = [file for file in files if file.endswith("history.csv")]
        behind += len(working)
        faults += [f"{name}: {file}" for file in files if file not in working]
    taken = sum("taken it over" in command.said() for command in (first, second))
    return {"slept": int(slept), "lost_a_run": taken, "histories_behind": behind, "faults": faults}


def _signalled(command: Command, number: signal.Signals) -> bool:
    """Send a signal to all of a command; False if it has ended."""
    try:
        os.killpg(command.pid, number)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(0 if FACTOR else 120)
def test_a_holder_that_sleeps_too_long_records_nothing(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> None:
    faults: list[str] = []
    for part in range(parts(30)):
        found = logged(
            "sleeping", part, lambda part=part: sleeping(nursery, new_ground, undisturbed, part)
        )
        faults += [f"part {part}: {fault}" for fault in found["faults"]]
    assert faults == []


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_clocks_that_differ_take_nothing_from_who_lives(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, seconds: float
) -> None:
    ground = new_ground(f"clocks-{seconds}")
    env = ground.environment | {"TORTURE_LEASE": "0.2 20"}
    first = nursery.start(
        ground.words(**ONE), out=ground.folder.with_suffix(".out0"),
        env=env | {"TORTURE_SYSTEM": "1", "TORTURE_CLOCK": str(seconds)},
    )  # fmt: skip
    second = nursery.start(
        ground.words(**ONE), out=ground.folder.with_suffix(".out1"),
        env=env | {"TORTURE_SYSTEM": "2"},
    )  # fmt: skip
    assert [first.wait(LONGEST_S), second.wait(LONGEST_S)] == [0, 0], first.said() + second.said()
    labels = Counter(label for one in (first, second) for label in trained_by(one.said()))
    assert [*labels.values()] == [1, 1, 1]
    nothing = {"lost": [], "too much": [], "different": []}
    assert differences(undisturbed(**ONE), ground.state()) == nothing
