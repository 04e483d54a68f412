"""A file system that fails: one clear message, waiting or clean leaving, and no half file."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmark.records.store import Store
from benchmark.training.keeping.heading import Damaged
from benchmark.training.keeping.sealed import read_sealed
from tests.torture import shim
from tests.torture.amounts import FACTOR, logged, parts
from tests.torture.conftest import ONE, Undisturbed
from tests.torture.ground import Ground, differences
from tests.torture.nursery import Nursery

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
FAULTS_A_PART, PARTS = 5, 40
PAUSES = {"TORTURE_PAUSES": "0.1 0.1"}
OFTEN = {"once": 1, "thrice": 3, "a while": 40, "for ever": 0}
KINDS = {  # of operations that fail, and about how many of them an undisturbed command does
    "open": 150, "write": 250, "fsync": 150, "rename": 80, "link": 4, "unlink": 60, "mkdir": 12,
    "look read": 400, shim.KINDS: 600,
}  # fmt: skip


def half_files(ground: Ground) -> list[str]:
    """Files that are there under their names and are not whole."""
    found = [f"{one.path}: {one.message}" for one in Store(ground.results).all().problems]
    for path in ground.runs.rglob("*.safetensors"):
        kind = path.name.split("-")[0].removesuffix(".safetensors")
        if not path.name.startswith("."):
            try:
                read_sealed(path, kind)
            except Damaged as damage:
                found.append(f"{path}: {damage}")
    return found


def unfinished(ground: Ground) -> list[str]:
    """What is left of attempts, and claims."""
    return [
        path.name
        for path in ground.folder.rglob("*")
        if path.name.endswith(".partial") or path.name.startswith("claim-")
    ]


def one_fault(
    nursery: Nursery, ground: Ground, expected: dict[str, str], rng: random.Random
) -> tuple[str, str, list[str]]:
    """Let something fail, look, repeat, compare.

    Returns:
        What failed, how the command ended, and what should not be.
    """
    kinds = rng.choice([*KINDS])
    what = "short" if kinds == "write" and rng.random() < 0.3 else str(rng.choice(ERRORS))
    often = rng.choice([*OFTEN])
    number = 1 + int(rng.random() ** 1.5 * KINDS[kinds])
    count = ground.folder.with_suffix(".count")
    env = ground.environment | PAUSES
    env |= shim.at(number, what, under=ground.folder, count=count, often=OFTEN[often], kinds=kinds)
    out = ground.folder.with_suffix(".out")
    words = ground.words(workers=rng.choice([0, 1]), **ONE)
    status = nursery.run(words, out=out, env=env, seconds=90)
    said = out.read_text()
    named = what if what == "short" else errno.errorcode[int(what)]
    title = f"{named} at {kinds.split()[0] if kinds != shim.KINDS else 'any'} {number}, {often}"
    faults = []
    reached = shim.counted(count) >= number
    if status not in (0, 1, 2):
        faults.append(f"{title}: ended with {status}: {said[-1500:]}")
    if "Traceback" in said:
        faults.append(f"{title}: a traceback: {said[-1500:]}")
    spoken = what == "short" or os.strerror(int(what)) in said
    if status not in (0, None) and not spoken:
        faults.append(f"{title}: left without saying why: {said[-800:]}")
    faults += [f"{title}: half a file: {file}" for file in half_files(ground)]
    if "unlink" not in kinds and (left := unfinished(ground)):
        faults.append(f"{title}: left behind {left}")
    again = ground.folder.with_suffix(".again")
    if nursery.run(words, out=again, env=ground.environment) != 0:
        faults.append(f"{title}: its repeat did not end well: {again.read_text()[-800:]}")
    for name, files in differences(expected, ground.state()).items():
        faults += [f"{title}: {name}: {file}" for file in files]
    if not faults:
        shutil.rmtree(ground.folder)
    how = "not reached" if not reached else "went on" if status == 0 else "left"
    return named, how, faults


def many_faults(
    nursery: Nursery, new_ground: Callable[[str], Ground], expected: dict[str, str], part: int,
    number: int,
) -> dict[str, Any]:  # fmt: skip
    rng = random.Random(f"disk {part}")
    told: dict[str, Any] = {"injected": 0, "went_on": 0, "left": 0, "errors": {}, "faults": []}
    while told["injected"] < number:
        ground = new_ground(f"disk-{part}-{rng.randrange(10**9)}")
        named, how, faults = one_fault(nursery, ground, expected, rng)
        told["faults"] += faults
        if how != "not reached":
            told["injected"] += 1
            told[how.replace(" ", "_")] += 1
            told["errors"][named] = told["errors"].get(named, 0) + 1
    return told


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_two_hundred_faults(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> None:
    faults: list[str] = []
    for part in range(parts(PARTS)):
        found = logged(
            "disk",
            part,
            lambda part=part: many_faults(
                nursery, new_ground, undisturbed(**ONE), part, FAULTS_A_PART
            ),
        )
        faults += [f"part {part}: {fault}" for fault in found["faults"]]
    assert faults == []


def test_a_few_faults(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> None:
    if FACTOR:
        pytest.skip("the long form has more of them")
    assert many_faults(nursery, new_ground, undisturbed(**ONE), -1, 3)["faults"] == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_disk_that_stays_full_is_said_and_left(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, workers: int
) -> None:
    ground = new_ground(f"full-{workers}")
    out = ground.folder.with_suffix(".out")
    count = ground.folder.with_suffix(".count")
    full = shim.at(25, str(errno.ENOSPC), under=ground.folder, count=count, often=0, kinds="write")
    words = ground.words(workers=workers, **ONE)
    assert nursery.run(words, out=out, env=ground.environment | PAUSES | full) == 1
    said = out.read_text()
    assert os.strerror(errno.ENOSPC) in said
    assert "Traceback" not in said
    assert (half_files(ground), unfinished(ground)) == ([], [])
    assert nursery.run(words, out=out, env=ground.environment) == 0
    assert ground.state() == undisturbed(**ONE)


def test_a_checkpoint_that_cannot_be_removed_is_tried_again(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> None:
    ground = new_ground("removing")
    out, count = ground.folder.with_suffix(".out"), ground.folder.with_suffix(".count")
    fails = shim.at(32, str(errno.EIO), under=ground.folder, count=count, often=9, kinds="unlink")
    words = ground.words(workers=0, **ONE)
    env = ground.environment | {"TORTURE_PAUSES": " ".join(["0.1"] * 9)} | fails
    assert nursery.run(words, out=out, env=env) == 0, out.read_text()
    assert shim.counted(count) >= 41
    assert "cannot remove" in out.read_text()
    assert ground.state() == undisturbed(**ONE)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_under_the_log_stops_no_training(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, workers: int
) -> None:
    ground = new_ground(f"log-{workers}")
    out = ground.folder.with_suffix(".out")
    full = shim.at(
        4, str(errno.ENOSPC), under=out, count=ground.folder.with_suffix(".count"), often=0
    )
    status = nursery.run(
        ground.words(workers=workers, **ONE), out=out, env=ground.environment | full
    )
    assert status in (0, 1, 2)
    assert "Traceback" not in out.read_text()
    assert ground.state() == undisturbed(**ONE)


@pytest.fixture
def small_disk(new_ground: Callable[[str], Ground]) -> Iterator[Ground]:
    """A file system of its own that is soon full."""
    ground = new_ground(f"small-disk-{time.monotonic_ns()}")
    words = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(ground.folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield ground
    subprocess.run(["umount", "--lazy", str(ground.folder)], check=True)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_is_left_cleanly_and_a_larger_one_ends_it(
    nursery: Nursery, small_disk: Ground, undisturbed: Undisturbed, workers: int
) -> None:
    words, out = small_disk.words(workers=workers, **ONE), small_disk.folder.with_suffix(".out")
    expected = undisturbed(**ONE)
    assert nursery.run(words, out=out, env=small_disk.environment | PAUSES) == 1, out.read_text()
    said = out.read_text()
    assert os.strerror(errno.ENOSPC) in said
    assert "Traceback" not in said
    assert (half_files(small_disk), unfinished(small_disk)) == ([], [])
    larger = ["mount", "-o", "remount,size=64m", str(small_disk.folder)]
    subprocess.run(larger, check=True)
    assert nursery.run(words, out=out, env=small_disk.environment) == 0
    assert small_disk.state() == expected


def test_a_full_disk_is_waited_for(
    nursery: Nursery, small_disk: Ground, undisturbed: Undisturbed
) -> None:
    words, out = small_disk.words(**ONE), small_disk.folder.with_suffix(".out")
    expected = undisturbed(**ONE)
    pauses = {"TORTURE_PAUSES": "2 2 2"}
    command = nursery.start(words, out=out, env=small_disk.environment | pauses)
    until = time.monotonic() + 60
    while os.strerror(errno.ENOSPC) not in command.said() and time.monotonic() < until:
        assert command.wait(0.05) is None, command.said()
    larger = ["mount", "-o", "remount,size=64m", str(small_disk.folder)]
    subprocess.run(larger, check=True)
    assert command.wait(90) == 0, command.said()
    assert small_disk.state() == expected
