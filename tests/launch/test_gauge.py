"""The arithmetic of what is left: images still to train over the rate that was seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.launch.times.gauge import RECENT, Gauge
from benchmark.work.forecast.pace import Pace, Work

GUESS = Pace(images_per_s=1.0, examination_s=7.0, start_s=5.0)


@dataclass(frozen=True)
class Training:
    """A group that goes at an even pace."""

    epochs: int
    images: int
    batches: int
    every: int  # epochs from one examination to the next; the last one is examined as well
    pace: Pace

    def work(self, done: int) -> Work:
        examined = sum(map(self.is_examined, range(done + 1, self.epochs + 1)))
        return Work(self.epochs - done, self.images, examined)

    def is_examined(self, epoch: int) -> bool:
        return epoch % self.every == 0 or epoch == self.epochs

    def seen(self, gauge: Gauge, clock: list[float], *, done: int = 0) -> Iterator[float]:
        """Train it, and stop after each thing that it tells; the seconds that are truly left."""
        clock[0] += self.pace.start_s
        gauge.group_started(done)
        ends = clock[0] + self.work(done).seconds(self.pace) - self.pace.start_s
        yield ends - clock[0]
        for epoch in range(done + 1, self.epochs + 1):
            gauge.epoch_started()
            for batch in range(self.batches):
                images = (batch + 1) * self.images // self.batches
                images -= batch * self.images // self.batches
                clock[0] += images / self.pace.images_per_s
                gauge.images_done(images)
                yield ends - clock[0]
            clock[0] += self.pace.examination_s * self.is_examined(epoch)
            gauge.epoch_finished(epoch, self.pace.images_per_s)
            yield ends - clock[0]


amounts = st.floats(0.25, 400.0)
paces = st.builds(Pace, images_per_s=amounts, examination_s=amounts, start_s=amounts)
trainings = st.builds(
    Training,
    epochs=st.integers(1, 2 * RECENT),
    images=st.integers(4, 5000),
    batches=st.integers(1, 4),
    every=st.integers(1, 3),
    pace=paces,
)


def gauge_of(training: Training) -> tuple[Gauge, list[float]]:
    clock = [100.0]
    return Gauge(training.work, lambda: clock[0]), clock


@given(trainings, st.data())
def test_an_even_training_is_foretold_from_its_first_examination_on(
    training: Training, data: st.DataObject
) -> None:
    gauge, clock = gauge_of(training)
    done = data.draw(st.integers(0, training.epochs - 1))
    for left in training.seen(gauge, clock, done=done):
        if gauge.examination_s is None:
            continue
        assert gauge.images_per_s is not None
        pace = Pace(images_per_s=gauge.images_per_s, examination_s=gauge.examination_s, start_s=0.0)
        assert gauge.left(pace) == pytest.approx(left, rel=1e-6, abs=1e-6)


@given(trainings)
def test_what_was_foretold_rightly_is_right_at_every_moment(training: Training) -> None:
    gauge, clock = gauge_of(training)
    assert gauge.left(training.pace) == pytest.approx(training.work(0).seconds(training.pace))
    for left in training.seen(gauge, clock):
        assert gauge.left(training.pace) == pytest.approx(left, rel=1e-6, abs=1e-6)


@given(trainings, st.floats(0.0, 1e6))
def test_it_counts_down_while_nothing_is_told_and_ends_at_nothing(
    training: Training, silent_s: float
) -> None:
    gauge, clock = gauge_of(training)
    for _ in training.seen(gauge, clock):
        moment, before = clock[0], gauge.left(GUESS)
        clock[0] += silent_s
        assert gauge.left(GUESS) == pytest.approx(max(0.0, before - silent_s), abs=1e-3)
        clock[0] = moment
    assert gauge.left(GUESS) == 0.0


def test_a_rate_is_known_after_two_seconds_of_steps_and_not_by_the_first_one() -> None:
    gauge, clock = gauge_of(Training(9, 1000, 1, 1, GUESS))
    gauge.group_started(0)
    gauge.epoch_started()
    clock[0] += 60.0  # the data are opened
    gauge.images_done(100)
    assert gauge.images_per_s is None
    clock[0] += 1.0
    gauge.images_done(50)
    assert gauge.images_per_s is None
    clock[0] += 1.0
    gauge.images_done(50)
    assert gauge.images_per_s == 50.0


def test_a_machine_that_slows_down_is_believed_within_some_epochs() -> None:
    training = Training(100, 1000, 1, 1, GUESS)
    gauge, clock = gauge_of(training)
    gauge.group_started(0)
    for epoch, rate in enumerate([100.0] * 20 + [10.0] * RECENT, start=1):
        gauge.epoch_started()
        clock[0] += 1000 / rate
        gauge.epoch_finished(epoch, rate)
    assert gauge.images_per_s == pytest.approx(10.0)


def test_an_epoch_that_was_begun_before_says_nothing_of_an_examination() -> None:
    training = Training(4, 1000, 1, 1, GUESS)
    gauge, clock = gauge_of(training)
    gauge.group_started(1)
    gauge.epoch_started()
    gauge.images_done(900)  # before the checkpoint
    clock[0] += 1.0
    gauge.images_done(100)
    clock[0] += 2.0
    gauge.epoch_finished(2, 100.0)
    assert gauge.examination_s is None
    assert gauge.images_per_s == 100.0
