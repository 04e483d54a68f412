from __future__ import annotations

import re

import pytest

from benchmark.records.sources import SourceGroup, Standing
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.metrics import METRICS
from benchmark.reports.terminal.results import coverage_table, record_view, result_table
from tests.records.made_records import record, taught, world

RESULTS = """\
cifar100, protocol paper: resnet20 → resnet8

                  top-1 %            seeds                gain [95 %]
 ─────────────────────────────────────────────────────────────────────────────
 teacher          69.50              1
 student alone    60.23 ± 0.15       3

 th-kd            62.33 ± 0.12   *   3                    +2.10 [+1.85, +2.35]
 kd               62.13 ± 0.15   †   3                    +1.90 [+1.90, +1.90]
 fitnet           63.00          †   1 of 3               +2.90
 th-kd[alpha=2]   61.05 ± 0.07       2 of 3; 1 diverged   +0.80
 crd              failed             0 of 3; 1 oom

"""
COVERAGE = """\

 data set   protocol   recipe    done   failed   stale   missing
 ───────────────────────────────────────────────────────────────
 aircraft   quick      kd           ·        ·       ·         3
 cifar100   paper      kd           5        ·       1         ·
                       kd[t=4]      3        1       ·         2

 all                                8        1       1         5

"""


def counted(dataset, protocol, recipe, *counts):
    numbers = dict(zip(("done", "failed", "stale", "missing"), counts, strict=True))
    return {"dataset": dataset, "protocol": protocol, "pair": "a:b", "recipe": recipe} | numbers


@pytest.mark.parametrize("width", [80, 120])
def test_results(printed, width):
    text = printed(*result_table(aggregate(world(), unreadable=1)), width=width)
    assert text.startswith(RESULTS)
    assert text.endswith("Left out: 1 unreadable file.\n")


def test_results_of_another_metric(printed):
    text = printed(*result_table(aggregate(world(), metric=METRICS.get("agreement"))))
    assert "agreement %" in text
    assert re.search(r"kd +70\.00 ± 0\.00", text)
    assert re.search(r"student alone +— ", text), "a network alone agrees with nobody"
    assert re.search(r"crd +failed ", text)


def test_results_of_nothing(printed):
    assert printed(*result_table(aggregate([]))) == "There is no record to show yet.\n"


def test_long_names_are_folded_and_numbers_are_not(printed):
    teacher = record(70.0, network="resnet20")
    changed = {"a_rather_long_setting": 0.123456, "another_long_setting": True}
    cells = [
        taught(top1, teacher, recipe="a-long-method", changed=changed, seed=seed, status="diverged")
        for seed, top1 in enumerate((62.0, 63.0, None))
    ]
    alone = [record(60.1, seed=0), record(60.4, seed=1)]
    text = printed(*result_table(aggregate([*cells, *alone])))
    assert "62.50 ± 0.71" in text
    assert "+2.25" in text
    assert "+2.25 [" not in text  # two seeds say too little for an interval on a terminal
    assert "95 %" not in text  # and the heading promises none
    assert "\n a-long-method[ " in text  # a line a setting


def test_coverage_adds_pairs_up(printed):
    rows = [
        counted("cifar100", "paper", "kd[t=4]", 3, 1, 0, 2),
        counted("cifar100", "paper", "kd", 2, 0, 1, 0),
        counted("cifar100", "paper", "kd", 3, 0, 0, 0),
        counted("aircraft", "quick", "kd", 0, 0, 0, 3),
    ]
    assert printed(coverage_table(rows)) == COVERAGE


def test_coverage_of_nothing(printed):
    assert "all" in printed(coverage_table([]))


def test_a_record_for_a_person(printed):
    teacher = record(70.0, network="resnet20")
    text = printed(record_view(taught(62.0, teacher, recipe="kd", settings={"t": 4.0}, seed=2)))
    for line in (
        "cifar100, resnet20:resnet8, kd, seed 2",
        "settings     t=4.0",
        f"teacher      resnet20, vanilla, top-1 70.00 ({teacher.identity[:12]})",
        "top-1        62.00 % of 10000 test images",
        "best epoch   67.00 % at epoch 200 (diagnostic, not ranked)",
        "deployed     0.08 M parameters, 3.20 M MACs",
    ):
        assert line in text.splitlines()


def test_passes_an_image_are_shown_where_they_were_counted(printed):
    made = record(60.0)
    assert "passes" not in printed(record_view(made))
    counted = {"forwards_per_image": 4.0, "backwards_per_image": 2.0}
    made = made.model_copy(update={"cost": made.cost.model_copy(update=counted)})
    lines = printed(record_view(made)).splitlines()
    assert "passes       4 forwards, 2 backwards an image" in lines


def test_teacher_outputs_that_were_read_or_rounded_are_shown(printed):
    made = record(60.0)
    assert "teachers" not in printed(record_view(made))
    kept = {"teacher_outputs_read": 0.995, "teacher_outputs": "fp16"}
    made = made.model_copy(update={"cost": made.cost.model_copy(update=kept)})
    lines = printed(record_view(made)).splitlines()
    assert "teachers     99.5 % read and not computed, rounded to fp16" in lines


def test_a_failure_for_a_person(printed):
    lines = printed(record_view(record(None, status="diverged"))).splitlines()
    words = [line.split(maxsplit=1) for line in lines]
    assert ["status", "diverged"] in words
    assert ["error", "RuntimeError: loss is nan"] in words
    assert ["where", "loop.py:10, epoch 3"] in words


def test_a_failure_is_shown_whole_within_bounds(printed):
    made = record(None)
    long = f"begin [/] {'x' * 9000}end"
    error = made.error.model_copy(update={"message": long})
    text = printed(record_view(made.model_copy(update={"error": error})), width=100)
    assert "RuntimeError: begin [/]" in text
    assert re.search(r"\n +x*end\n", text)
    assert "more …" in text
    assert len(text) < 8000


def test_a_record_says_where_it_came_from(printed):
    made = record(60.0)
    text = printed(
        record_view(
            made.model_copy(update={"weights": "a" * 64, "published_weights": "b" * 64}),
            source=SourceGroup(Standing.changed, "f" * 64),
            notes=["Stale: its protocol is not that of today."],
        ),
        width=100,
    )
    assert f"source        {'f' * 64}" in text
    assert "not that of today: 'kdbench run --retry changed' trains it again" in text
    assert f"weights       {'a' * 64}" in text
    assert f"started from  {'b' * 64}" in text
    assert "device        cpu, fp32, 1 process with 2 threads" in text
    assert text.endswith("Stale: its protocol is not that of today.\n")


def test_states_that_are_seldom_have_a_column_where_there_is_one(printed):
    row = counted("cifar100", "paper", "kd", 3, 0, 0, 2)
    assert "damaged" not in printed(coverage_table([row | {"damaged": 0, "reasons": []}]))
    text = printed(coverage_table([row | {"damaged": 1, "reasons": ["cut short"]}]))
    assert re.search(r"missing +damaged", text)
    assert "reasons" not in text
