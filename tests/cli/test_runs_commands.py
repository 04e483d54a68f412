"""``kdbench runs``, and ``kdbench status`` without a choice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.called import Kdbench


@pytest.fixture
def leftover(kdbench: Kdbench, tiny_words: list[str]) -> Path:
    """A checkpoint that a finished run left."""
    assert kdbench("run", *tiny_words, "--recipe", "kd")[0] == 0
    [weights] = [
        path
        for path in Path("runs").glob("*/weights-*")
        if '"kd"' in (path.parent / "run.json").read_text()
    ]
    path = weights.with_name("checkpoint-0001-000000.safetensors")
    path.write_bytes(bytes(2_000_000))
    return path


def test_runs_are_listed_and_pruned(
    leftover: Path, kdbench: Kdbench, tiny_words: list[str]
) -> None:
    code, out, _ = kdbench("runs")
    assert code == 0
    assert "tiny/resnet14__resnet8/kd/seed0" in out
    code, out, _ = kdbench("runs", "list", "--json")
    assert {row["state"] for row in json.loads(out)} == {"done"}

    for words in ([], ["--dry-run", "--yes"]):  # nobody is at a terminal
        code, out, _ = kdbench("runs", "prune", *words)
        assert code == 0
        assert "checkpoints of a finished run (1 run, 2.0 MB)" in out
        assert "Nothing was removed; with --yes, 2.0 MB go." in out
        assert leftover.exists()
    code, out, _ = kdbench("runs", "prune", "--yes", "--json")
    assert json.loads(out)["removed_bytes"] == 2_000_000
    assert not leftover.exists()
    code, out, _ = kdbench("runs", "prune", "--yes")
    assert (code, out) == (0, "Nothing in the folder can go.\n")

    code, _, err = kdbench("runs", "prune", "--weights", "--yes")
    assert code == 2
    assert "--suite or --dataset" in err
    words = [*tiny_words, "--recipe", "kd", "--recipe", "crd"]
    assert kdbench("runs", "prune", "--weights", *words, "--yes")[0] == 0
    code, out, _ = kdbench("runs", "list", "--json")
    kept = {row["cell"]: row["weight_bytes"] > 0 for row in json.loads(out)}
    assert kept == {
        "tiny/resnet14/vanilla/seed0": True,  # crd builds on it
        "tiny/resnet14__resnet8/kd/seed0": False,
    }
