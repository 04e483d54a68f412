"""A cell is verified from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark.records.canonical import digest
from tests.cli.called import Kdbench

CELL = "tiny/resnet8/vanilla/seed0"


def test_a_cell_is_evaluated_and_trained_again(kdbench: Kdbench, tiny_words: list[str]) -> None:
    assert kdbench("run", *tiny_words, "--recipe", "vanilla")[0] == 0
    path = tiny_words[:2]
    code, out, _ = kdbench("verify", CELL, *path)
    assert code == 0
    assert "evaluated again, agrees bit for bit" in out
    code, out, _ = kdbench("verify", CELL, *path, "--train", "--json")
    said = json.loads(out)
    assert (code, said["holds"], said["is_of_today"]) == (0, True, True)
    assert said["metrics"]["top1"]["recorded"] == said["metrics"]["top1"]["again"]

    # As one who forges a better number, and the checksum with it.
    record = Path("results", f"{CELL}.json")
    values = json.loads(record.read_text())
    values["metrics"]["ece"] = 99.0  # of which the history says nothing
    values["checksum"] = digest({k: v for k, v in values.items() if k != "checksum"})
    record.write_text(json.dumps(values))
    code, out, _ = kdbench("verify", CELL, *path)
    assert code == 1
    assert "does not agree" in out
    assert [line.split()[0] for line in out.splitlines() if line.endswith("differs")] == ["ece"]


def test_a_cell_that_is_not_there_is_one_message(kdbench: Kdbench) -> None:
    code, _, err = kdbench("verify", "tiny/nothing/vanilla/seed0")
    assert code == 2
    assert "there is no record 'tiny/nothing/vanilla/seed0'" in err
