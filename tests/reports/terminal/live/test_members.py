"""The table of those who train, in the room that there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from benchmark.events import LearnerEpoch
from benchmark.reports.terminal.live.members import Members, common_pair, lines

labels = st.lists(
    st.builds("{} {}".format, st.sampled_from(["a→b", "a→c", "深層→浅い"]), st.text(max_size=70)),
    min_size=1,
    max_size=30,
    unique=True,
)


@given(st.lists(labels, max_size=6), st.integers(0, 60), st.integers(40, 160))
def test_a_table_has_the_room_that_there_is(groups, height, width):
    made = [(f"({n}) ", Members.starting("x" * 50, of, 240, 0)) for n, of in enumerate(groups)]
    for (_, members), of in zip(made, groups, strict=True):
        members.hear(1, of, [LearnerEpoch(of[0], {"ce": 1.0, "a term": 2.5}, 12.5)])
    shown = lines(made, width, height)
    assert len(shown) <= height
    assert all(cell_len(line.plain) <= max(width, 110) for line in shown)
    assert all(cell_len(line.plain) <= width for line in shown)
    everyone = 1 + sum(1 + len(of) for of in groups)
    if groups and everyone <= height:
        assert len(shown) == everyone
        assert not any("more" in line.plain for line in shown if line.plain.startswith("  …"))


def test_those_who_do_not_fit_are_counted():
    members = Members.starting("CIFAR-100", [f"a→b kd{n}" for n in range(24)], 240, 0)
    shown = [line.plain.strip() for line in lines([("", members)], 80, 18)]
    assert shown[1] == "CIFAR-100, a→b"
    assert [name.split()[0] for name in shown[2:17]] == [f"kd{n}" for n in range(15)]
    assert shown[17] == "… 9 more"


def test_long_names_are_told_apart_by_their_ends():
    sweep = [f"a→b my-method[method_weight=0.5,temperature=4,form={form}]" for form in "xyz"]
    shown = [line.plain for line in lines([("", Members.starting("x", sweep, 9, 0))], 60, 10)]
    names = [line.split("  ")[1].strip() for line in shown[2:]]
    assert [name[-3:] for name in names] == ["=x]", "=y]", "=z]"]
    assert all(name.startswith("my-") and "…" in name for name in names)


def test_groups_that_do_not_fit_are_counted():
    groups = [(f"({n}) ", Members.starting("x", ["a→b kd", "a→b at"], 9, 0)) for n in range(16)]
    shown = [line.plain for line in lines(groups, 80, 10)]
    assert shown[-1] == "… 12 more groups"
    assert sum(line.startswith("(") for line in shown) == 4


def test_a_pair_is_named_once():
    assert common_pair(["a→b kd", "a→b at"]) == ("a→b", ["kd", "at"])
    assert common_pair(["a vanilla"]) == ("a", ["vanilla"])
    mixed = ["a sh-teacher", "a→b kd", "a→b crd"]
    assert common_pair(mixed) == ("a→b", ["a sh-teacher", "kd", "crd"])
    assert common_pair(["a vanilla", "b vanilla"]) == ("", ["a vanilla", "b vanilla"])
    assert common_pair(["alone"]) == ("", ["alone"])
    assert common_pair([]) == ("", [])


def test_a_wide_table_shows_the_terms_of_the_loss():
    members = Members.starting("CIFAR-100", ["a→b kd"], 240, 0)
    members.hear(1, ["a→b kd"], [LearnerEpoch("a→b kd", {"ce": 1.0, "kd": 0.5}, None)])
    assert "ce 1  kd 0.5" in lines([("", members)], 140, 10)[2].plain
    assert "ce 1" not in lines([("", members)], 80, 10)[2].plain


def test_who_is_not_examined_in_an_epoch_keeps_the_accuracy_of_the_one_before():
    members = Members.starting("CIFAR-100", ["a→b kd"], 240, 0)
    for epoch, top1 in ((1, 12.5), (2, None)):
        members.hear(epoch, ["a→b kd"], [LearnerEpoch("a→b kd", {"ce": 1.0}, top1)])
    assert lines([("", members)], 80, 10)[2].plain.split() == [
        "kd",
        "2/240",
        "12.50",
        "1",
        "starts",
    ]
