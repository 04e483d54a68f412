"""How fast machines train, on the leaderboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmark.records.speed import save_speed
from benchmark.records.store import Store
from benchmark.reports.formats import load_formats
from benchmark.reports.leaderboard import compose
from tests.records.made_records import world
from tests.records.made_speeds import speed

FORMATS = load_formats()


def filled(folder: Path) -> Path:
    for made in world():
        Store(folder).write(made)
    return folder


def test_the_page_ends_with_a_section_and_is_else_the_same(tmp_path: Path) -> None:
    before, _ = compose(filled(tmp_path), FORMATS.get("md"))
    save_speed(speed(unsettled=("recipe kd",)), tmp_path)
    after, problems = compose(tmp_path, FORMATS.get("md"))
    assert problems == ()
    assert after.startswith(before)
    section = re.sub(" +", " ", after.removeprefix(before))
    assert section.startswith("\n## Speed\n")
    assert "### Made Processor 3000, 2 cores" in section
    assert "cifar100, resnet20:resnet8, protocol paper, batch 64, fp32, 2 threads" in section
    assert "1,000 (950 … 1,020) | 46 %" in section
    assert "1.35 times as fast as one after the other (1.30 … 1.40 in 5 rounds" in section
    assert "torch 2.11.0, commit 000000000000, 2026-03-01" in section
    assert "Still changing when the warm-up ended: recipe kd." in section


def test_other_formats_do_not_change_but_json_has_all(tmp_path: Path) -> None:
    before = {name: compose(filled(tmp_path), FORMATS.get(name))[0] for name in ("csv", "latex")}
    assert json.loads(compose(tmp_path, FORMATS.get("json"))[0])["speed"] == []
    save_speed(speed(), tmp_path)
    assert before == {name: compose(tmp_path, FORMATS.get(name))[0] for name in before}
    [device] = json.loads(compose(tmp_path, FORMATS.get("json"))[0])["speed"]
    assert device["device"] == "Made Processor 3000, 2 cores"
    assert device["measurements"][0]["recipes"]["kd"]["images_per_s"] == 1000.0


def test_a_file_that_cannot_be_trusted_is_named(tmp_path: Path) -> None:
    path = save_speed(speed(), filled(tmp_path))
    path.write_text(path.read_text().replace("1000.0", "1001.0"))
    text, [problem] = compose(tmp_path, FORMATS.get("md"))
    assert str(path) in problem
    assert "## Speed" not in text
    assert "\n* speed/made-processor-3000-2-cores.json\n" in text


def test_names_are_text(tmp_path: Path) -> None:
    save_speed(speed(processor="<b>*fast*</b> | [x](http://y)"), tmp_path)
    text, _ = compose(tmp_path, FORMATS.get("md"))
    assert "### \\<b>\\*fast\\*\\</b> | [x]\\(http\\://y), 2 cores\n" in text
