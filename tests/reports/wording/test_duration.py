from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.reports.wording.duration import duration, end, left

NOON = datetime(2026, 11, 25, 12, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (48.4, "48 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7200, "2 h"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "12:00"),
        (7500, "14:05"),
        (12 * 3600, "26 Nov 00:00"),
        (6 * 86_400, "1 Dec 12:00"),
        (8 * 86_400, "3 Dec 2026"),
        (1e300, "1 Nov 2126"),
    ],
)
def test_the_end_is_an_hour_today_and_a_day_later_on(seconds: float, text: str) -> None:
    assert end(seconds, NOON) == text


def test_what_is_left_is_said_with_its_end() -> None:
    assert left(200, NOON) == "3 min 20 s left, until 12:03"
    assert left(None, NOON) == "time left: not known yet"


@given(st.floats(0, 1e300))
def test_whatever_is_left_can_be_said(seconds: float) -> None:
    assert " left, until " in left(seconds, NOON)
