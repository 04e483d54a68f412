"""What is left of work that is done elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.launch.progress import AtWork
from benchmark.launch.times.trend import RECENT, Trend, images_left
from tests.support.sessions import Make


@given(st.floats(0.01, 1e4), st.floats(1.0, 1e6), st.integers(1, 3 * RECENT), st.floats(1.0, 100.0))
def test_work_that_shrinks_evenly_is_foretold(
    rate: float, seconds: float, looks: int, begin: float
) -> None:
    trend = Trend()
    told = [
        trend.left(
            rate * (seconds - look * seconds / (looks + 1)), begin + look * seconds / (looks + 1)
        )
        for look in range(looks + 1)
    ]
    assert told[0] is None
    for look, left in enumerate(told[1:], start=1):
        assert left == pytest.approx(seconds - look * seconds / (looks + 1), rel=1e-3)


def test_jobs_that_come_later_are_believed_within_an_hour() -> None:
    trend, left = Trend(), 1e6
    for minute in range(300):
        left -= 100 if minute < 100 else 1000
        told = trend.left(left, 60.0 * minute)
    assert told == pytest.approx(60 * left / 1000)


def test_what_does_not_shrink_has_no_end_and_what_is_gone_needs_no_time() -> None:
    trend = Trend()
    assert trend.left(5, 0.0) is None
    assert trend.left(5, 60.0) is None
    assert trend.left(9, 120.0) is None, "runs were added, or lost their checkpoints"
    assert trend.left(0, 180.0) == 0.0


def test_images_are_counted_for_each_run_less_those_that_are_done(session: Make) -> None:
    made = session("vanilla", "kd", protocol="longer")
    runs = made.plan().todo
    images = runs[0].card.splits["train"]
    assert images_left(runs, []) == len(runs) * 4 * images
    half = AtWork("tiny", "longer", 0, "kd", 3, 4)
    assert images_left(runs, [half]) == (len(runs) * 4 - 3) * images
    assert images_left([], [half]) == 0
