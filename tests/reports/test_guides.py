"""What the guides show of reports works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.cli import main
from benchmark.records.store import Store
from benchmark.reports.board.metrics import METRICS
from benchmark.reports.formats import Format
from tests.records.made_records import world

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KDBENCH_PATH", raising=False)
    return tmp_path


def kdbench(*words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code


def test_a_report_format_is_one_file(folder, capsys):
    (code,) = blocks("add-a-report-format.md")
    file = folder / "mine" / "formats" / "calibration.py"
    file.parent.mkdir(parents=True)
    file.write_text(code, "utf-8")
    words = ("leaderboard", "--results", str(ROOT / "results"), "--path", "mine", "--format")
    assert kdbench(*words, "calibration") == 0
    written = (folder / "calibration.txt").read_text("utf-8")
    line = r"sketchbirds, quick, resnet8 from resnet14, kd: top-1 \d\d\.\d\d %, ECE \d+\.\d\d %\n"
    assert re.search(line, written)
    assert kdbench(*words, "calibration", "--check") == 0
    capsys.readouterr()
    assert kdbench(*words, "calibration", "--output", "-") == 0
    assert capsys.readouterr().out == written
    assert kdbench(*words, "calibratio") == 2
    assert "Did you mean 'calibration'?" in capsys.readouterr().err


def test_the_guide_names_every_field_of_a_format_and_every_metric():
    page = (DOCS / "add-a-report-format.md").read_text("utf-8")
    assert all(f"| `{name}` |" in page for name in Format.__dataclass_fields__)
    page = (DOCS / "read-a-record.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in METRICS)


def test_a_metric_is_one_line(folder, capsys):
    store = Store(folder / "results")
    for made in world():
        store.write(made)
    (code,) = [block for block in blocks("read-a-record.md") if "Metric(" in block]
    exec(compile(code, "read-a-record.md", "exec"), {})
    assert "resnet8 kd Summary(n=3, mean=5.0, std=0.0)" in capsys.readouterr().out
