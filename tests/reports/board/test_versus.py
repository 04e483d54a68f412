"""Two methods side by side: every figure against an independent computation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import UnknownName, UsageError
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.versus import over, versus, versus_folders, wilcoxon
from tests.records.made_records import record, taught

TEACHERS = {f"set{n}": record(70.0, network="resnet20", dataset=f"set{n}") for n in range(8)}


def students(recipe, accuracies, dataset="set0"):
    return [
        taught(top1, TEACHERS[dataset], recipe=recipe, seed=seed, dataset=dataset)
        for seed, top1 in enumerate(accuracies)
        if top1 is not None
    ]


def board(*records):
    return aggregate([*TEACHERS.values(), *itertools.chain(*records)], None)


def several(differences, *, seeds=1):
    """A block for every difference between ``kd`` and ``crd``."""
    made = []
    for n, difference in enumerate(differences):
        made.append(students("kd", [60.0 + seed for seed in range(seeds)], f"set{n}"))
        made.append(students("crd", [60.0 + s + difference for s in range(seeds)], f"set{n}"))
    return over(versus(board(*made), "kd", "crd"))


def test_a_difference_is_paired_by_seed():
    [block] = versus(
        board(students("kd", [60.0, 62.0, 64.0]), students("crd", [61.0, 63.5, 64.5])), "kd", "crd"
    )
    each = np.array([1.0, 1.5, 0.5])
    half = 4.302652729 * each.std(ddof=1) / np.sqrt(3)  # the t quantile of 2 degrees of freedom
    assert block.difference.mean == pytest.approx(1.0)
    assert block.difference.low == pytest.approx(1.0 - half)
    assert block.difference.high == pytest.approx(1.0 + half)
    assert (block.difference.n, block.unpaired) == (3, 0)


def test_seeds_that_one_lacks_are_counted():
    made = board(students("kd", [60.0, 62.0, 64.0]), students("crd", [61.0, None, 64.5]))
    [block] = versus(made, "kd", "crd")
    assert (block.difference.n, block.unpaired) == (2, 1)


def test_the_student_alone_is_a_method():
    alone = [record(55.0, dataset="set0")]
    [block] = versus(board(students("kd", [60.0]), alone), "vanilla", "kd")
    assert block.difference.mean == pytest.approx(5.0)


def test_turned_round_all_is_turned_round():
    made = board(
        students("kd", [60.0, 62.0]), students("crd", [61.0, 61.5]),
        students("kd", [50.0], "set1"), students("crd", [52.0], "set1"),
    )  # fmt: skip
    there, back = over(versus(made, "kd", "crd")), over(versus(made, "crd", "kd"))
    assert there.mean.mean == pytest.approx(-back.mean.mean)
    assert (there.better, there.worse) == (back.worse, back.better)
    assert there.improvement[0] == pytest.approx(1 - back.improvement[0])
    assert there.p == pytest.approx(back.p)


def test_the_probability_of_improvement_counts_pairs_of_seeds():
    first, second = [60.0, 62.0, 64.0], [61.0, 62.0, 60.5]
    found = over(versus(board(students("kd", first), students("crd", second)), "kd", "crd"))
    pairs = [(b > a) + 0.5 * (b == a) for a in first for b in second]
    point, low, high = found.improvement
    assert point == pytest.approx(np.mean(pairs))
    assert 0 <= low <= point <= high <= 1


@given(st.lists(st.integers(-1000, 1000).filter(bool), min_size=2, max_size=8, unique_by=abs))
def test_the_signed_rank_test_is_exact(differences):
    """Against all ways to give the ranks a sign."""
    ranks = {abs(value): rank for rank, value in enumerate(sorted(map(abs, differences)), 1)}
    seen = sum(ranks[abs(value)] for value in differences if value > 0)
    sums = [
        sum(rank for rank, sign in zip(ranks.values(), signs, strict=True) if sign)
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    below = sum(total <= seen for total in sums)
    above = sum(total >= seen for total in sums)
    assert wilcoxon(differences) == pytest.approx(min(1.0, 2 * min(below, above) / len(sums)))


def test_too_few_blocks_are_said_to_prove_nothing():
    found = several([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.p == pytest.approx(found.least_p) == pytest.approx(0.0625)
    [few, seeds] = found.conclusions()
    assert "5 blocks cannot tell them apart" in few
    assert "p = 0.0625 at the least" in few
    assert "One seed a block" in seeds


def test_enough_blocks_that_agree_are_told_apart():
    found = several([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], seeds=2)
    assert found.p == pytest.approx(2 / 2**6)
    [said] = found.conclusions()
    assert said == "Over blocks they are told apart (signed-rank test, p = 0.0312)."
    assert found.repeated == 6


def test_blocks_that_disagree_are_not():
    [said, _] = several([1.0, -2.0, 3.0, -4.0, 5.0, -6.0]).conclusions()
    assert "not told apart" in said


def test_equal_methods_have_no_p():
    assert several([0.0, 0.0]).p is None


def test_two_folders_are_compared_method_by_method():
    before = board(students("kd", [60.0, 61.0]), students("crd", [62.0, 63.0]))
    after = board(students("kd", [60.5, 61.5]), students("at", [50.0]))
    [block] = versus_folders(before, after)
    assert block.method == "kd"
    assert block.difference.mean == pytest.approx(0.5)
    with pytest.raises(UsageError, match="no method"):
        versus_folders(before, after, ["crd"])


def test_what_cannot_be_compared_is_refused():
    made = board(students("kd", [60.0]), students("crd", [62.0], "set1"))
    with pytest.raises(UnknownName, match="Did you mean 'crd'"):
        versus(made, "kd", "cdr")
    with pytest.raises(UsageError, match="name two"):
        versus(made, "kd", "kd")
    with pytest.raises(UsageError, match="in common"):
        versus(made, "kd", "crd")
