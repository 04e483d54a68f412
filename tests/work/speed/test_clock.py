"""Rates that are measured on a clock of the test's own."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from benchmark.work.speed import clock as module
from benchmark.work.speed.clock import ROUNDS, Clock, Task

IMAGES = 10


class Time:
    """A clock that goes on when work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock(torch.device("cpu"), seconds=10.0)


def task(time: Time, seconds: object, log: list[str] | None = None, name: str = "") -> Task:
    """Work whose n-th step takes the n-th of these seconds."""
    each = iter(seconds)  # type: ignore[call-overload]

    def work(batch: object) -> None:
        time.now += next(each)
        if log is not None:
            log.append(name)

    batches = itertools.repeat(SimpleNamespace(global_size=IMAGES))
    return Task(batches, work)  # type: ignore[arg-type]


def test_slow_first_steps_do_not_count(time: Time, clock: Clock) -> None:
    slow_at_first = itertools.chain([5.0, 3.0, 1.0, 0.5], itertools.repeat(0.1))
    rates, unsettled = clock.rounds({"step": task(time, slow_at_first)})
    assert rates == {"step": pytest.approx([IMAGES / 0.1] * ROUNDS)}
    assert unsettled == []


def test_what_does_not_settle_is_told_and_measured_all_the_same(time: Time, clock: Clock) -> None:
    ever_slower = (0.01 * 1.2**number for number in itertools.count())
    rates, unsettled = clock.rounds({"step": task(time, ever_slower)})
    assert unsettled == ["step"]
    assert len(rates["step"]) == ROUNDS


def test_everything_has_its_turn_in_every_round(time: Time, clock: Clock) -> None:
    log: list[str] = []
    tasks = {name: task(time, itertools.repeat(0.5), log, name) for name in ("a", "b")}
    turns: list[str] = []
    clock.rounds(tasks, turns.append)
    assert turns == ["a", "b"] * ROUNDS
    changes = [name for name, _ in itertools.groupby(log)]
    assert changes == ["a", "b"] * (ROUNDS + 1)  # the warm-up first


def test_batches_that_were_made_ahead_do_not_count(time: Time, clock: Clock) -> None:
    """While others had their turn, worker processes made three batches."""
    turns: list[str] = []
    steps = itertools.count()

    def work(batch: object) -> None:
        time.now += 0.0 if next(steps) < 3 and turns else 0.4

    def then(name: str) -> None:
        nonlocal steps
        turns.append(name)
        steps = itertools.count()

    batches = itertools.repeat(SimpleNamespace(global_size=IMAGES))
    rates, _ = clock.rounds({"loader": Task(batches, work, ahead=3)}, then)  # type: ignore[arg-type]
    assert rates["loader"] == pytest.approx([IMAGES / 0.4] * ROUNDS)
