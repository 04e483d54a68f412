"""Rates that can be trusted: after a warm-up, repeated, each in turn with what it is compared with.

The first seconds of a process were off by a factor of up to ten (cold caches, threads and memory
that are only now made), and the speed of a shared machine wanders by a third within minutes. So
nothing counts before its rate has settled; everything is measured in rounds, a turn each, so that
what is slow for a while is slow for all; and what is told is the median of the rounds with the
lowest and the highest.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from benchmark.data.loaders.batches import LoadedBatch

ROUNDS = 9  # odd: the median is one of them
LEAD_IN = 2  # steps at the start of a turn: the one before left its own data in the caches
WINDOW = 0.05  # of the seconds of a rate: what one rate of the warm-up is taken from
WINDOW_STEPS = 2
WINDOWS = 3  # that agree when a rate has settled
SETTLED = 1.1  # their highest over their lowest


@dataclass(frozen=True)
class Task:
    """Work that is done on one batch after another.

    Attributes:
        batches: without end.
        work: what is done with each.
        ahead: batches that the loader may have made before they are asked for, while others had
            their turn.
    """

    batches: Iterator[LoadedBatch]
    work: Callable[[LoadedBatch], object]
    ahead: int = 0

    def step(self) -> int:
        """Do the work once; the number of images."""
        batch = next(self.batches)
        self.work(batch)
        return batch.global_size


class Clock:
    """Measures rates in images/s.

    Args:
        device: that is waited for.
        seconds: for which each rate is measured, in all rounds together.
    """

    def __init__(self, device: torch.device, seconds: float) -> None:
        self.device, self.seconds = device, seconds

    def rounds(
        self, tasks: Mapping[str, Task], then: Callable[[str], None] = lambda name: None
    ) -> tuple[dict[str, list[float]], list[str]]:
        """Measure all tasks in turn, round by round.

        Args:
            tasks: by name.
            then: called with its name when a task had its turn, for what else is measured of it.

        Returns:
            The rates of each task, one of each round, and the tasks that did not settle before.
        """
        unsettled = [name for name, task in tasks.items() if not self.warm_up(task)]
        rates: dict[str, list[float]] = {name: [] for name in tasks}
        for _ in range(ROUNDS):
            for name, task in tasks.items():
                rates[name].append(self._turn(task))
                then(name)
        return rates, unsettled

    def warm_up(self, task: Task) -> bool:
        """Work until the last rates agree; whether they do.

        After the seconds of one rate it is given up. They count from the end of the first one's
        steps, which may compile for minutes.
        """
        rates: list[float] = []
        begun = 0.0
        while True:
            rates.append(self._rate(task, WINDOW * self.seconds, WINDOW_STEPS))
            begun = begun or time.perf_counter()
            last = rates[-WINDOWS:]
            if len(last) == WINDOWS and max(last) <= SETTLED * min(last):
                return True
            if len(rates) >= WINDOWS and time.perf_counter() - begun > self.seconds:
                return False

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @property
    def turn_s(self) -> float:
        """How long a turn is, in seconds."""
        return self.seconds / ROUNDS

    def _turn(self, task: Task) -> float:
        """One round's rate, after what the turns of others left is used up."""
        length, begun = self.turn_s, time.perf_counter()
        for _ in range(max(LEAD_IN, task.ahead)):
            task.step()
            if time.perf_counter() - begun > length:
                break
        return self._rate(task, length, 1)

    def _rate(self, task: Task, seconds: float, steps: int) -> float:
        self.wait()
        begun, images = time.perf_counter(), 0
        for done in itertools.count(1):
            images += task.step()
            if done >= steps and time.perf_counter() - begun > seconds:
                break
        self.wait()
        return images / (time.perf_counter() - begun)
