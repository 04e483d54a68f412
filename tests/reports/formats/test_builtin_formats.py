"""The formats that come with kdbench."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest

from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.metrics import METRICS
from benchmark.reports.board.staleness import Current
from benchmark.reports.formats import load_formats
from benchmark.reports.leaderboard import render
from tests.records.made_records import record, taught, world

GOLDEN = Path(__file__).parents[1] / "golden"
FORMS = {"md": "leaderboard.md", "csv": "leaderboard.csv", "latex": "leaderboard.tex"}
FORMATS = load_formats()


@pytest.fixture(scope="module")
def board():
    current = Current({"fitnet": 3}, {"cifar100": "r1"})
    return aggregate(world(), current, unreadable=1)


@pytest.mark.parametrize("form", FORMS)
def test_golden(board, form):
    """After a wanted change: look at the new text, then put it in the place of the old."""
    assert render(board, FORMATS.get(form)) == (GOLDEN / FORMS[form]).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", [*FORMS, "json"])
def test_the_order_of_the_records_does_not_matter(board, form):
    records = world()
    for seed in range(5):
        random.Random(seed).shuffle(records)
        other = aggregate(records, Current({"fitnet": 3}, {"cifar100": "r1"}), unreadable=1)
        assert render(other, FORMATS.get(form)) == render(board, FORMATS.get(form))


def test_json_holds_every_seed(board):
    tables = json.loads(render(board, FORMATS.get("json")))["tables"]
    methods = {method["method"]: method for method in tables[0]["pairs"][0]["methods"]}
    assert methods["th-kd"]["by_seed"] == {"0": 62.2, "1": 62.4, "2": 62.4}
    assert methods["th-kd[alpha=2]"]["failures"] == {"diverged": [2]}
    assert methods["crd"]["top1"] is None


def test_csv_has_a_row_for_every_cell(board):
    rows = list(csv.DictReader(io.StringIO(render(board, FORMATS.get("csv")))))
    kinds = [row["kind"] for row in rows if row["protocol"] == "paper"]
    counts = {kind: kinds.count(kind) for kind in kinds}
    assert counts == {"teacher": 2, "alone": 2, "method": 6, "network": 5}


def test_latex_escapes_names():
    teacher = record(70.0, network="a_b&c%")
    cells = [taught(60.0, teacher, recipe="kd", changed={"x_y": "$~^#{}"}), teacher]
    text = render(aggregate(cells), FORMATS.get("latex"))
    assert r"a\_b\&c\%" in text
    assert r"kd{[}x\_y=\$\textasciitilde{}\textasciicircum{}\#\{\}]" in text


def test_markdown_keeps_its_columns():
    teacher = record(70.0, network="a|b")
    text = render(aggregate([taught(60.0, teacher, recipe="kd")]), FORMATS.get("md"))
    assert r"a\|b → resnet8" in text


class TestAnotherMetric:
    """The board of another metric says in every format what it is of."""

    @pytest.fixture
    def calibration(self):
        return aggregate(world(), metric=METRICS.get("ece"))

    def test_markdown(self, calibration):
        text = render(calibration, FORMATS.get("md"))
        assert "\nECE (%) after the **last epoch**" in text
        assert "4.50 ± 0.00 (3)" in text
        assert "top-1" not in text.lower()

    def test_latex(self, calibration):
        text = render(calibration, FORMATS.get("latex"))
        assert r"\caption{Last-epoch ECE (\%), cifar100, protocol paper." in text

    def test_json(self, calibration):
        value = json.loads(render(calibration, FORMATS.get("json")))
        assert value["metric"] == "last-epoch ECE in percent"
        pair = value["tables"][0]["pairs"][0]
        assert pair["methods"][0]["ece"]["mean"] == 4.5
        assert pair["teacher_ece"]["mean"] == 4.5
