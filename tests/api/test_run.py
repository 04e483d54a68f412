"""Programs plan and train with the words of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import benchmark
from benchmark.errors import UnknownName, UsageError
from benchmark.events import Listener

pytestmark = pytest.mark.usefixtures("accelerator")


def test_a_plan_trains_nothing(words: dict[str, Any], tmp_path: Path) -> None:
    plan = benchmark.plan(**words, runs=tmp_path / "runs", results=tmp_path / "results")
    assert [str(cell.pair) for cell in plan.cells] == ["resnet14:resnet8"] * 4
    assert len(plan.todo) == len(plan.runs)
    assert list(tmp_path.rglob("*.*")) == []


def test_what_is_recorded_is_not_trained_again(
    words: dict[str, Any], trained: dict[str, Path]
) -> None:
    assert benchmark.plan(**words, **trained).todo == ()
    heard: list[str] = []

    class Hears(Listener):
        def matrix_started(self, runs: int, recorded: int) -> None:
            heard.append(f"{runs} to train, {recorded} recorded")

    summary = benchmark.run(**words, **trained, listener=Hears())
    assert summary.exit_code == 0
    assert len(heard) == 1
    assert heard[0].startswith("0 to train")


def test_one_process_may_run_several_times(words: dict[str, Any], tmp_path: Path) -> None:
    more = words | {"recipes": ["vanilla"], "runs": tmp_path / "runs", "results": tmp_path / "r"}
    for seeds in (1, [1], (0, 2)):
        assert benchmark.run(**more | {"seeds": seeds}).exit_code == 0
    assert len(list((tmp_path / "r").rglob("seed*.json"))) == 3


def test_the_data_folder_of_the_environment_is_looked_at(
    words: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDBENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(benchmark.BenchmarkError, match="nowhere does not exist"):
        benchmark.run(
            datasets=["cifar100"], recipes=["vanilla"], pairs=["resnet14:resnet8"], seeds=1,
            runs=tmp_path / "runs", results=tmp_path / "results",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": "tiny"}, r"datasets='tiny': write a list, datasets=\['tiny'\]"),
        ({"recipes": "kd"}, "write a list"),
        ({"recipe": ["kd"]}, "has no 'recipe'. Did you mean 'recipes'?"),
        ({"retry": "everything"}, "retry='everything': write one of 'failed'"),
        ({"retry": True}, "write one of 'failed'"),
        ({"seeds": 0}, "--seeds '0'"),
        ({"seeds": []}, "name one at least"),
        ({"seeds": "3"}, "seeds='3': write a list"),
        ({"paths": ["nowhere"]}, "no folder 'nowhere'"),
        ({"protocol": "quik"}, "Did you mean 'quick'"),
    ],
)
def test_a_wrong_word_is_one_message(
    words: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        benchmark.plan(**{"runs": tmp_path, "results": tmp_path} | words | change)


def test_an_unknown_recipe_has_a_near_name(words: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'kd'"):
        benchmark.run(**words | {"recipes": ["kdd"]}, runs=tmp_path, results=tmp_path)


def test_workers_find_folders_that_are_meant_from_where_the_program_is_now(
    words: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook that changed its folder since it imported multiprocessing."""
    monkeypatch.chdir(tmp_path)
    summary = benchmark.run(
        **words | {"recipes": ["vanilla"]}, runs="my runs", results="results", workers=1, threads=1
    )
    assert summary.exit_code == 0
    assert list(Path("my runs").glob("*/weights-*.safetensors"))


def test_several_words_say_what_to_train_again(
    words: dict[str, Any], trained: dict[str, Path]
) -> None:
    summary = benchmark.run(**words, **trained, retry=["failed", "changed"], time_limit=5)
    assert summary.outcomes == {}
    with pytest.raises(UsageError, match="retry="):
        benchmark.run(**words, **trained, retry=["failed", "again"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("means", "message"),
    [
        ({"launcher": "rai"}, "unknown launcher 'rai'. Did you mean 'ray'"),
        ({"launcher_options": {"ray_address": "auto"}}, "--ray-address is not for .* but for ray"),
        (
            {"launcher": "slurm", "launcher_options": {"ray_address": "auto"}},
            "--ray-address is not for --launcher slurm",
        ),
        ({"minutes": float("nan")}, "--minutes nan: write a number"),
        ({"time_limit": 0}, "--time-limit 0: write"),
        ({"memory_per_worker": float("inf")}, "--memory-per-worker inf"),
        ({"checkpoint_minutes": -1}, "--checkpoint-minutes -1"),
        ({"keep_teacher_outputs": "bf16"}, "in fp32 or fp16, not in 'bf16'"),
    ],
)
def test_means_that_do_not_fit_are_refused_before_anything_is_planned(
    words: dict[str, Any], tmp_path: Path, means: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        benchmark.run(**words, **means, runs=tmp_path / "runs", results=tmp_path / "results")
    assert list(tmp_path.iterdir()) == []
