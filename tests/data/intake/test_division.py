"""A split that is drawn: equal shares, the same in every order, hardly changed by new images."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.intake.division import divide
from benchmark.data.intake.images import Taken
from benchmark.errors import ManyFaults, UsageError

COUNTS = st.lists(st.integers(2, 30), min_size=1, max_size=5)
SHARES = st.floats(0.01, 0.99)


def images(counts: list[int]) -> list[Taken]:
    return [
        Taken(f"{label}/{number}.jpg", str(label))
        for label, count in enumerate(counts)
        for number in range(count)
    ]


def part_for_the_test(some: list[Taken], share: float, seed: int) -> set[str]:
    return {one.path for one in divide(some, share, seed, place="here") if one.split == "test"}


@given(counts=COUNTS, share=SHARES, seed=st.integers(0, 9))
def test_every_class_gives_its_share_and_keeps_an_image(
    counts: list[int], share: float, seed: int
) -> None:
    chosen = Counter(
        path.partition("/")[0] for path in part_for_the_test(images(counts), share, seed)
    )
    for label, count in enumerate(counts):
        assert 1 <= chosen[str(label)] <= count - 1
        near = abs(chosen[str(label)] - share * count) <= 0.5 + 1e-9
        assert near or chosen[str(label)] in (1, count - 1)


@given(counts=COUNTS, share=SHARES, seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_no_order_changes_the_choice(
    counts: list[int], share: float, seed: int, order: random.Random
) -> None:
    some = images(counts)
    before = part_for_the_test(some, share, seed)
    order.shuffle(some)
    assert part_for_the_test(some, share, seed) == before


@given(counts=COUNTS, share=SHARES, seed=st.integers(0, 9), name=st.text("abc", min_size=1))
def test_an_added_image_moves_one_other_at_most(
    counts: list[int], share: float, seed: int, name: str
) -> None:
    some = images(counts)
    new = Taken(f"0/{name}.jpg", "0")
    before, after = (
        part_for_the_test(some, share, seed),
        part_for_the_test([*some, new], share, seed),
    )
    assert len((before ^ after) - {new.path}) <= 1


def test_the_choice_is_what_it_was_and_follows_the_seed() -> None:
    some = images([10])
    assert part_for_the_test(some, 0.2, 0) == {"0/0.jpg", "0/1.jpg"}
    assert part_for_the_test(some, 0.2, 1) != part_for_the_test(some, 0.2, 0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 20.0])
def test_a_share_that_is_none(share: float) -> None:
    with pytest.raises(UsageError, match=r"--test .* between 0 and 1"):
        divide(images([4]), share, 0, place="here")


def test_every_class_of_one_image_is_named() -> None:
    with pytest.raises(ManyFaults, match="here: 2 of 4 classes") as caught:
        divide(images([4, 1, 3, 1]), 0.2, 0, place="here")
    assert caught.value.faults == (
        "class '1' has one image, 1/0.jpg",
        "class '3' has one image, 3/0.jpg",
    )
