"""Groups in parts: nobody is lost, the parts are even, and what fits stays whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmark.matrix.cutting import by_number, fitting, halves, shared_out

# A run stands here as what it costs; a group costs its members and a teacher.
TEACHER = 10.0
Costs = tuple[float, ...]
costs = st.lists(st.integers(1, 100).map(float), max_size=9).map(tuple)


def weigh(groups: Sequence[Sequence[Any]]) -> list[float]:
    return [TEACHER + sum(group) for group in groups]


def joined(groups: Sequence[Sequence[Any]]) -> list[Any]:
    return [run for group in groups for run in group]


@given(costs)
def test_halves_lose_nobody_and_are_as_even_as_their_order_allows(runs: Any) -> None:
    parts = halves(runs, weigh)
    assert joined(parts) == list(runs)
    assert len(parts) == min(len(runs), 2)
    if len(runs) > 1:
        dearer = max(weigh(parts))
        assert all(dearer <= max(weigh([runs[:at], runs[at:]])) for at in range(1, len(runs)))
        assert dearer - min(weigh(parts)) <= 2 * max(runs)


@given(costs)
def test_where_nothing_is_known_halves_are_of_equal_number(runs: Any) -> None:
    sizes = [len(part) for part in halves(runs)]
    assert sizes == [size for size in ((len(runs) + 1) // 2, len(runs) // 2) if size]


@given(st.lists(costs.filter(bool), max_size=4), st.integers(0, 12))
def test_groups_are_shared_out_until_every_slot_has_something(groups: Any, slots: int) -> None:
    for how in (weigh, by_number):
        parts = shared_out(groups, slots, how)
        assert joined(parts) == joined(groups)
        assert len(parts) == max(len(groups), min(slots, len(joined(groups))))


def test_the_dearest_is_shared_out_and_not_the_one_with_most_members() -> None:
    assert shared_out([(1.0, 1.0, 1.0), (80.0, 60.0)], 3, weigh) == [
        (1.0, 1.0, 1.0),
        (80.0,),
        (60.0,),
    ]
    assert shared_out([(50.0, 1.0, 1.0, 1.0)], 2, weigh) == [(50.0,), (1.0, 1.0, 1.0)]


@given(st.lists(costs.filter(bool), max_size=4), st.integers(20, 300))
def test_what_does_not_fit_is_halved_until_it_does(groups: Any, room: int) -> None:
    def fits(group: Any) -> bool:
        return sum(group) <= room

    parts = list(fitting(groups, fits, weigh))
    assert joined(parts) == joined(groups)
    assert all(fits(part) or len(part) == 1 for part in parts)
    assert list(fitting(groups, lambda group: True, weigh)) == groups
