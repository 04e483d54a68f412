"""The page of recipes shows what settings gave that were tried."""

from __future__ import annotations

from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.pages.sensitivity import sensitivity
from tests.records.made_records import record, taught

TEACHER = record(70.0, network="resnet20")


def tried(temperature, weight, accuracies):
    settings = {"temperature": temperature, "kd_weight": weight}
    usual = {"temperature": 4.0, "kd_weight": 0.9}
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    return [
        taught(top1, TEACHER, recipe="kd", seed=seed, settings=settings, changed=changed)
        for seed, top1 in enumerate(accuracies)
    ]


def test_a_row_for_every_choice_in_the_order_of_its_values():
    records = [TEACHER, record(60.0), record(60.0, seed=1)]
    records += [*tried(16.0, 0.9, [61.0, 62.0]), *tried(4.0, 0.9, [63.0, 64.0])]
    text = sensitivity(aggregate(records, None), "kd")
    title, table = text.split("\n\n")
    assert title == "cifar100, protocol paper, resnet20 → resnet8:"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert rows[0] == ["`temperature`", "top-1 (seeds)", "gain"]
    assert [row[0] for row in rows[2:]] == ["`4.0`", "`16.0`"]
    assert [row[1] for row in rows[2:]] == ["63.50 ± 0.71 (2)", "61.50 ± 0.71 (2)"]
    assert rows[2][2].startswith("+3.50")


def test_several_settings_have_a_column_each():
    records = [
        TEACHER,
        *tried(4.0, 0.9, [63.0]),
        *tried(4.0, 0.5, [62.0]),
        *tried(2.0, 0.5, [61.0]),
    ]
    head, _, *rows = sensitivity(aggregate(records, None), "kd").split("\n\n")[1].splitlines()
    assert [name in head for name in ("`temperature`", "`kd_weight`")] == [True, True]
    assert [line.count("`0.5`") + 2 * line.count("`0.9`") for line in rows] == [1, 1, 2]


def test_nothing_is_shown_where_nothing_was_varied():
    records = [TEACHER, *tried(4.0, 0.9, [63.0, 64.0])]
    assert sensitivity(aggregate(records, None), "kd") == ""
    assert sensitivity(aggregate(records, None), "crd") == ""
