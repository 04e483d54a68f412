"""Data workers that die, hang or fail: named at once, and none of them is left behind."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from benchmark.data.loaders import watching
from benchmark.data.loaders import workers as workers_module
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit
from benchmark.errors import DisturbanceError

PICTURES = Pictures(classes=2, size=4, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
FAULTY = 21


class Faulty:
    """Forty black images, of which one does harm when it is read."""

    def __init__(self, harm: str) -> None:
        self.harm = harm

    def __len__(self) -> int:
        return 40

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        if position == FAULTY:
            if self.harm == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.harm == "exit":
                os._exit(0)
            elif self.harm == "hang":
                time.sleep(600)
            elif self.harm == "raise":
                raise ArithmeticError("no such number")
            elif self.harm == "huge":
                return np.broadcast_to(np.uint8(0), (10**6, 10**6, 3))
        return np.zeros((4, 4, 3), np.uint8)

    def select(self, positions: object) -> Faulty:
        return self


def loader(harm: str, workers: int = 2) -> WorkersLoader:
    split = ImageSplit(Faulty(harm), torch.zeros(40, dtype=torch.int64))
    return WorkersLoader(
        split, PICTURES, batch_size=4, seed=0, device="cpu", train=False, workers=workers
    )


@pytest.mark.parametrize("harm", ["kill", "exit"])
def test_a_worker_that_dies_is_named_with_its_image(harm: str) -> None:
    with pytest.raises(DisturbanceError) as caught:
        list(loader(harm).epoch(0))
    assert f"at the image in position {FAULTY}" in str(caught.value)
    assert "worker 1 (process" in str(caught.value)
    assert not caught.value.lasting


def test_workers_that_hang_are_ended_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_S", 2.0)
    before = {child.pid for child in psutil.Process().children()}
    hanging = loader("hang")
    with pytest.raises(DisturbanceError, match=f"no batch for .* position {FAULTY}"):
        list(hanging.epoch(0))
    del hanging
    left = {child.pid for child in psutil.Process().children()} - before
    assert not [pid for pid in left if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_worker_raises_names_the_image(workers: int) -> None:
    with pytest.raises(DisturbanceError, match=f"position {FAULTY} .*no such number") as caught:
        list(loader("raise", workers).epoch(0))
    assert caught.value.lasting


def test_slow_workers_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "LOOK_EVERY_S", 0.001)
    assert sum(len(batch.index) for batch in loader("none").epoch(0)) == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_command_ends_no_worker(number: signal.Signals) -> None:
    """The main process stops at its next step, for which it needs batches."""
    before = multiprocessing.active_children()
    batches = loader("none").epoch(0)
    next(batches)
    children = [child for child in multiprocessing.active_children() if child not in before]
    assert len(children) == 2
    for child in children:
        assert child.pid is not None
        os.kill(child.pid, number)
    assert sum(len(batch.index) for batch in batches) == 36


def test_torch_leaves_no_handler_that_raises_in_the_middle_of_a_step() -> None:
    before = signal.getsignal(signal.SIGCHLD)
    list(loader("none").epoch(0))
    assert signal.getsignal(signal.SIGCHLD) is before


def test_a_disturbance_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DisturbanceError("no room", lasting=True)))
    assert (str(error), error.lasting) == ("no room", True)


PROGRAM = """
import psutil
from tests.data.loaders.test_watching import loader
batches = loader("hang").epoch(0)
next(batches)
print(*[child.pid for child in psutil.Process().children()], flush=True)
list(batches)
"""


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(ended_by: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.send_signal(ended_by)
        parent.stdout.read()  # the workers hold it open as long as they live
        while any(_works(pid) for pid in workers):  # what they held is closed before they are gone
            time.sleep(0.1)


def _works(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
