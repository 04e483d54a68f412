"""Which runs can go on side by side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmark.training.keeping.stand import BEGINNING, Stand, common_stand, side_by_side

A, B, C, D = (Stand(epoch) for epoch in (4, 3, 2, 1))


def test_places_are_in_the_order_of_the_training() -> None:
    assert sorted([Stand(1), Stand(0, 9), Stand(1, 2), BEGINNING]) == [
        BEGINNING, Stand(0, 9), Stand(1), Stand(1, 2)
    ]  # fmt: skip
    assert [str(stand) for stand in (Stand(2), Stand(2, 7))] == ["epoch 2", "epoch 2, step 7"]


def test_the_newest_place_that_all_have() -> None:
    assert common_stand([(A, B), (B, C)]) == B
    assert common_stand([(A, B), (A, B)]) == A
    assert common_stand([(A, B), (C, D)]) is None
    assert common_stand([]) == BEGINNING


def test_runs_at_other_places_come_after_the_others() -> None:
    runs = [("x", (A, B)), ("new", (BEGINNING,)), ("y", (B, C)), ("z", (A, B))]
    assert side_by_side(runs) == [["x", "y", "z"], ["new"]]


STANDS = st.sets(st.builds(Stand, st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=2)


@given(st.lists(STANDS, max_size=6))
def test_nobody_is_lost_and_every_part_has_one_place(stands: list[set[Stand]]) -> None:
    parts = side_by_side(list(enumerate(stands)))
    assert sorted(number for part in parts for number in part) == list(range(len(stands)))
    assert all(common_stand([stands[number] for number in part]) is not None for part in parts)
    if stands and common_stand(stands) is not None:
        assert len(parts) == 1
