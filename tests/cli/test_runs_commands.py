"""``kdbench runs``, and ``kdbench status`` without a choice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.folders import PACKAGE
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


def test_status_alone_tells_what_the_folders_hold(
    leftover: Path, kdbench: Kdbench, tiny_words: list[str]
) -> None:
    path = tiny_words[:2]
    (leftover.parent / "run.json").unlink()  # its record tells
    half = Path("runs/0123456789abcdef")
    half.mkdir()
    (half / leftover.name).write_bytes(b"")
    Path("results/tiny/resnet14/vanilla/seed9.json").write_text("{}")
    code, out, _ = kdbench("status", *path)
    assert code == 0
    assert "results: 2 records, the newest tiny/" in out
    assert "1 file there cannot be read, as results/tiny/resnet14/vanilla/seed9.json" in out
    assert "runs: 3 runs, 1 half trained" in out
    assert "No open cell needs 2.0 MB of it" in out
    assert "kdbench status --suite NAME" in out

    code, out, _ = kdbench("status", *path, "--json")
    rows = json.loads(out)
    assert [(row["dataset"], row["pair"], row["recipe"], row["done"]) for row in rows] == [
        ("tiny", "resnet14", "vanilla", 1),
        ("tiny", "resnet14:resnet8", "kd", 1),
    ]
    code, out, _ = kdbench("status", *tiny_words, "--recipe", "kd", "--json")
    assert json.loads(out)[0].keys() < rows[0].keys()  # a choice has fewer, none of its own


def test_status_alone_where_there_is_nothing(kdbench: Kdbench) -> None:
    code, out, _ = kdbench("status")
    assert code == 0
    assert out.startswith("results: no record yet.")
    assert kdbench("status", "--json")[1] == "[]\n"
    assert kdbench("runs")[1] == "There are no runs in the folder.\n"


def test_looking_does_without_torch(kdbench: Kdbench) -> None:
    results = str(PACKAGE.parent / "results")
    code = (
        "import sys, benchmark.cli.app\n"
        "try:\n"
        "    benchmark.cli.app.main(sys.argv[1:])\n"
        "except SystemExit as end:\n"
        "    print(end.code, 'torch' in sys.modules, file=sys.stderr)\n"
    )
    kdbench("list", "recipes")  # fills the index
    cell = "sketchbirds/resnet14__resnet8/kd/seed0"
    for words in (["status"], ["runs"], ["show", cell, "--results", results]):
        call = [sys.executable, "-c", code, *words]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "0 False"
