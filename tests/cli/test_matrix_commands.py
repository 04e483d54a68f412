"""Train, plan, see how far it is, measure the speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli import matrix
from tests.cli.called import Kdbench


def test_run_trains_records_and_shows_the_table(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench("run", *tiny_words, "--recipe", "vanilla", "--recipe", "kd")
    assert code == 0
    assert "student alone" in out
    assert "The records are in results, weights and checkpoints in runs. Next:" in out
    assert "  kdbench leaderboard --path " in out
    assert Path("results/tiny/resnet14__resnet8/kd/seed0.json").exists()
    assert Path("results/tiny/resnet8/vanilla/seed0.csv").exists()

    code, out, _ = kdbench("run", *tiny_words, "--recipe", "vanilla", "--recipe", "kd")
    assert code == 0
    assert "runs to train: 0" in out

    code, out, _ = kdbench("show", "tiny/resnet14__resnet8/kd/seed0")
    assert code == 0
    assert "top-1" in out

    code, out, _ = kdbench("status", *tiny_words, "--recipe", "kd", "--recipe", "crd", "--json")
    assert [(row["recipe"], row["done"], row["missing"]) for row in json.loads(out)] == [
        ("kd", 1, 0),
        ("crd", 0, 1),
    ]

    path = tiny_words[:2]
    assert kdbench("leaderboard", *path)[0] == 0
    assert "resnet14 → resnet8" in Path("leaderboard.md").read_text()
    assert kdbench("leaderboard", *path, "--check")[0] == 0
    Path("leaderboard.md").write_text("something else\n")
    code, _, err = kdbench("leaderboard", *path, "--check")
    assert code == 1
    assert "-something else" in err
    for form in ("csv", "latex", "json"):
        code, out, _ = kdbench("leaderboard", *path, "--format", form)
        assert code == 0
        assert "kd" in out


def test_a_failing_cell_gives_exit_code_1(kdbench: Kdbench, tiny_words: list[str]) -> None:
    Path("mine").mkdir()
    Path("mine/bad.py").write_text(
        '"""Always fails."""\n'
        "from benchmark import Recipe, register\n"
        "@register('bad', family='logits')\n"
        "class Bad(Recipe):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        raise ValueError('never mind')\n"
    )
    words = ["run", *tiny_words, "--path", "mine", "--recipe", "bad", "--json"]
    code, out, err = kdbench(*words)
    assert code == 1
    assert json.loads(out)["outcomes"] == {"recorded": 1, "failed": 1}
    assert "never mind" in err


def test_a_dry_run_trains_nothing(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench("run", *tiny_words, "--recipe", "sh-kd", "--dry-run")
    assert code == 0
    assert "resnet14 sh-teacher" in out
    assert not Path("results").exists()


def test_a_plan_foretells_what_was_measured(
    kdbench: Kdbench, tiny_words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(matrix, "MEASURED_S", 0.05)
    words = ["plan", *tiny_words, "--recipe", "kd"]
    code, out, _ = kdbench(*words)
    assert code == 0
    assert "is not known: --measure" in out
    code, out, err = kdbench(*words, "--measure", "--json")
    assert code == 0
    assert "measuring groups" in err
    told = json.loads(out)
    assert told["seconds"] > 0
    assert told["groups_of_unknown_time"] == 0
    assert {group["source"] for level in told["levels"] for group in level} == {"measured here"}
    assert "measured here" in kdbench(*words)[1]
    assert not Path("results").exists()


def test_speed_measures_every_part_and_keeps_it(
    kdbench: Kdbench, tiny_words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.work.speed.peaks.MATRIX_SIZES", (64, 128))
    monkeypatch.setattr("benchmark.work.speed.peaks.COPIED_MB", {"cpu": 8})
    recipes = ["--recipe", "vanilla", "--recipe", "kd"]
    words = [*tiny_words[:4], *recipes, "--seconds", "0.1", "--json", "--save"]
    code, out, err = kdbench("speed", *words)
    assert code == 0
    figures = json.loads(out)
    assert set(figures["recipes"]) == {"vanilla", "kd"}
    steps = [*figures["recipes"].values(), figures["group"]]
    for part in [*steps, figures["loader"], figures["teacher"]]:
        assert 0 < part["lowest"] <= part["images_per_s"] <= part["highest"]
    for step in steps:
        assert step["share_of_peak"] > 0
        assert step["floor"]["arithmetic_ms"] > 0
        assert step["floor"]["memory_ms"] > 0
        assert step["host"]["operators"] > 0
    assert "teacher" in figures["recipes"]["kd"]["phases_ms"]
    assert figures["group"]["recipes"] == ["vanilla", "kd"]
    assert figures["group"]["speedup_over_apart"] > 0
    assert figures["peak"]["fp32_gflops"] > 0
    assert figures["peak"]["bf16_gflops"] > 0
    [kept] = Path("results/speed").glob("*.json")
    assert str(kept) in err
    assert json.loads(kept.read_text())["measurements"] == [figures]
    code, out, _ = kdbench("leaderboard", "--output", "-")
    assert code == 0
    assert "## Speed" in out


@pytest.mark.slow
def test_two_processes_write_one_set_of_records(
    tiny_words: list[str], tmp_path: Path, cache_dir: Path
) -> None:
    """Also that they see the global batches of one process, and count each test image once.

    A method in two stages trains other parameters in each, which the processes must agree on; the
    layer behind MobileNetV2's last map is reached by none of the first stage's terms.
    """
    launch = [
        sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
        "-m", "benchmark",
    ]  # fmt: skip
    recipes = [word for name in ("vanilla", "crd", "ab", "ft") for word in ("--recipe", name)]
    words = ["run", *tiny_words, "--pair", "resnet14:MobileNetV2", *recipes]
    done = subprocess.run(
        [*launch, *words], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("seed0.json")]
    assert len(records) == 5
    for record in records:
        assert record["status"] == "ok"
        assert record["environment"]["processes"] == 2
        assert record["metrics"]["images"] == 24
    assert done.stdout.count("student alone") == 1
