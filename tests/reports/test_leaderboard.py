from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from made_records import record, taught, world

from benchmark.errors import RecordError, UsageError
from benchmark.records.store import Store
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.staleness import Current
from benchmark.reports.formats.leaderboard import compose, difference, render, save

GOLDEN = Path(__file__).parent / "golden"
FORMS = {"md": "leaderboard.md", "csv": "leaderboard.csv", "latex": "leaderboard.tex"}


@pytest.fixture(scope="module")
def board():
    current = Current({"fitnet": 3}, {"cifar100": "r1"})
    return aggregate(world(), current, unreadable=1)


@pytest.mark.parametrize("form", FORMS)
def test_golden(board, form):
    """After a wanted change: look at the new text, then put it in the place of the old."""
    assert render(board, form) == (GOLDEN / FORMS[form]).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", [*FORMS, "json"])
def test_the_order_of_the_records_does_not_matter(board, form):
    records = world()
    for seed in range(5):
        random.Random(seed).shuffle(records)
        other = aggregate(records, Current({"fitnet": 3}, {"cifar100": "r1"}), unreadable=1)
        assert render(other, form) == render(board, form)


def test_a_store_between_does_not_change_it(tmp_path):
    store = Store(tmp_path)
    for made in world():
        store.write(made)
    text, problems = compose(tmp_path, "md")
    assert text == render(aggregate(world()), "md")
    assert problems == ()


def test_what_cannot_be_trusted_is_counted_and_told(tmp_path):
    store = Store(tmp_path)
    for made in world():
        store.write(made)
    path = store.path_of(world()[0].spec)
    path.write_text(path.read_text().replace("69.5", "79.5"))
    text, problems = compose(tmp_path, "md")
    assert "Left out: 1 unreadable file." in text
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert str(tmp_path) not in text


def test_nothing_recorded(tmp_path):
    text, _ = compose(tmp_path, "md")
    assert "There is no record to show yet." in text
    assert json.loads(compose(tmp_path, "json")[0])["tables"] == []
    with pytest.raises(RecordError, match="--results"):
        compose(tmp_path / "none", "md")


def test_json_holds_every_seed(board):
    tables = json.loads(render(board, "json"))["tables"]
    methods = {method["method"]: method for method in tables[0]["pairs"][0]["methods"]}
    assert methods["th-kd"]["by_seed"] == {"0": 62.2, "1": 62.4, "2": 62.4}
    assert methods["th-kd[alpha=2]"]["failures"] == {"diverged": [2]}
    assert methods["crd"]["top1"] is None


def test_csv_has_a_row_for_every_cell(board):
    rows = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    kinds = [row["kind"] for row in rows if row["protocol"] == "paper"]
    counts = {kind: kinds.count(kind) for kind in kinds}
    assert counts == {"teacher": 2, "alone": 2, "method": 6, "network": 5}


def test_latex_escapes_names():
    teacher = record(70.0, network="a_b&c%")
    cells = [taught(60.0, teacher, recipe="kd", changed={"x_y": "$~^#{}"}), teacher]
    text = render(aggregate(cells), "latex")
    assert r"a\_b\&c\%" in text
    assert r"kd{[}x\_y=\$\textasciitilde{}\textasciicircum{}\#\{\}]" in text


def test_markdown_keeps_its_columns():
    teacher = record(70.0, network="a|b")
    text = render(aggregate([taught(60.0, teacher, recipe="kd")]), "md")
    assert r"a\|b → resnet8" in text


def test_an_unknown_format_is_refused(board):
    with pytest.raises(UsageError, match="unknown format 'html'"):
        render(board, "html")


class TestFile:
    def test_what_was_saved_is_up_to_date(self, board, tmp_path):
        file = tmp_path / "docs" / "leaderboard.md"
        save(render(board, "md"), file)
        assert difference(render(board, "md"), file) is None

    def test_an_edit_is_shown_as_a_diff(self, board, tmp_path):
        file = tmp_path / "leaderboard.md"
        save(render(board, "md").replace("62.33", "64.33"), file)
        shown = difference(render(board, "md"), file)
        assert "-| th-kd          | **64.33" in shown
        assert "+| th-kd          | **62.33" in shown

    def test_a_missing_file_differs(self, board, tmp_path):
        assert "+# Leaderboard" in difference(render(board, "md"), tmp_path / "none.md")

    def test_a_place_that_cannot_be_written_or_read(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RecordError, match="--output"):
            save("text", tmp_path / "file" / "leaderboard.md")
        with pytest.raises(RecordError, match="cannot read"):
            difference("text", tmp_path)


def test_reports_need_no_torch():
    code = (
        "import sys, benchmark.reports.formats.leaderboard, benchmark.reports.terminal.console\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'accelerate'} & sys.modules.keys()\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
