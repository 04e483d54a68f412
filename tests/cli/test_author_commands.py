"""``kdbench check recipe`` and ``kdbench try``, as an author calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.proving.trial import looks
from tests.cli.called import Kdbench

WORDS = ["--dataset", "tiny", "--protocol", "quick", "--seconds", "0.1", "--json"]


def test_it_trains_as_a_run_does_and_records_nothing(
    kdbench: Kdbench, tiny_words: list[str], card_folder: Path
) -> None:
    words = ["--path", str(card_folder), *WORDS]
    code, out, err = kdbench("try", "kd[temperature=2]", *words)
    assert code == 0, err
    said = json.loads(out)
    assert not Path("results").exists()
    assert [one["recipe"] for one in said["tried"]] == ["vanilla", "kd", "kd[temperature=2]"]
    assert {law["level"] for law in said["laws"]} == {"ok"}
    assert said["images"] == 24
    assert said["steps"] == 2 * 3
    mine = said["tried"][-1]
    assert [one["step"] for one in mine["seen"]] == looks(6)
    assert set(mine["seen"][0]["terms"]) == {"ce", "kd"}
    assert all(one["student"] > 0 for one in mine["seen"])
    assert mine["shapes"]["teacher"]["logits"] == [[16, 4]]
    assert mine["images_per_s"] > 0

    code, *_ = kdbench("run", *tiny_words, "--recipe", "kd", "--recipe", "kd[temperature=2]")
    assert code == 0
    tops = {}
    for file in Path("results/tiny/resnet14__resnet8").rglob("seed0.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        tops[record["spec"]["settings"].get("temperature")] = record["metrics"]["top1"]
    _, kd, mine = said["tried"]
    assert {4.0: kd["top1"], 2.0: mine["top1"]} == pytest.approx(tops, abs=1e-3)


def test_a_recipe_that_fails_is_shown_with_its_line(kdbench: Kdbench, card_folder: Path) -> None:
    Path("mine").mkdir()
    Path("mine/mine.py").write_text(
        '"""Fails."""\n\nfrom benchmark import Recipe, register\n\n\n'
        '@register("mine", family="other")\nclass Mine(Recipe):\n'
        "    def forward(self, batch, student, teacher):\n"
        '        return {"ce": student.nothing}\n',
        encoding="utf-8",
    )
    words = ["--path", str(card_folder), *WORDS[:-1]]
    code, out, _ = kdbench("try", "mine/mine.py", *words)
    assert code == 1
    assert "mine.py:9" in out
    assert "nothing" in out
    assert "vanilla" in out, "the others are there all the same"


def test_a_pair_that_is_refused_is_said(kdbench: Kdbench, card_folder: Path) -> None:
    words = ["--path", str(card_folder), *WORDS, "--pair", "vgg8:resnet8"]
    code, _, err = kdbench("try", "fsp", *words)
    assert code == 2
    assert "FSP compares channel with channel" in err
    assert "--pair" in err


def test_laws_are_told_with_their_authors_line(kdbench: Kdbench) -> None:
    Path("mine.py").write_text(
        '"""Fails."""\n\nfrom benchmark import Recipe, register\n\n\n'
        '@register("mine", family="other")\nclass Mine(Recipe):\n'
        "    def forward(self, batch, student, teacher):\n"
        '        return {"ce": student.nothing}\n',
        encoding="utf-8",
    )
    code, out, _ = kdbench("check", "recipe", "mine.py")
    assert code == 1
    assert "✗ terms are finite float32 scalars  (0 of 4 cases)" in out
    assert "mine.py:9" in out
    assert "as above" in out
    assert "· says what it is" in out
    code, out, _ = kdbench("check", "recipe", "vanilla")
    assert code == 0
    assert "13 of 13 laws kept." in out
