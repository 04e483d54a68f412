"""The claims of the loop: grouped, repeated and continued trainings give the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from benchmark.data.splits import DataSet
from benchmark.errors import UsageError
from benchmark.events import Listener
from benchmark.recipe.contract import Recipe
from benchmark.training.ending import Stopped
from benchmark.training.job import Job
from benchmark.training.keeping.stand import Stand
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.loop import train
from tests.training.trained import assert_same, group_of, run, weights

GROUP = ("vanilla", "kd", "th-kd", "crd")


@pytest.mark.parametrize("accelerator", ["fp32", "bf16"], indirect=True)
def test_a_group_gives_each_member_what_it_gets_alone(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    together = run([make_job(name) for name in GROUP], tiny, accelerator, tmp_path / "group")
    for number, name in enumerate(GROUP):
        [alone] = run([make_job(name)], tiny, accelerator, tmp_path / name)
        assert_same(together[number], alone)


def test_two_trainings_of_one_job_are_the_same(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    [first] = run([make_job("crd")], tiny, accelerator, tmp_path / "a")
    torch.rand(7)  # whatever happened to the global random state must not matter
    [second] = run([make_job("crd")], tiny, accelerator, tmp_path / "b")
    assert_same(first, second)


def test_seeds_differ(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    [first] = run([make_job("vanilla", seed=0)], tiny, accelerator, tmp_path)
    [second] = run([make_job("vanilla", seed=1)], tiny, accelerator, tmp_path)
    name = "network.conv1.weight"
    assert not torch.equal(weights(first)[name], weights(second)[name])


@pytest.mark.parametrize("stop_in", [1, 2])
def test_an_interrupted_and_continued_training_ends_with_the_same_weights(
    make_job: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    stop_in: int,
) -> None:
    names = ("kd", "crd")
    whole = run([make_job(name) for name in names], tiny, accelerator, tmp_path / "whole")
    stopped = run(
        [make_job(name) for name in names], tiny, accelerator, tmp_path / "parts", stop_in=stop_in
    )
    assert [trained.ending for trained in stopped] == [Stopped(stop_in, 3)] * 2
    continued = run([make_job(name) for name in names], tiny, accelerator, tmp_path / "parts")
    for first, second in zip(whole, continued, strict=True):
        assert_same(first, second)
        assert [row.epoch for row in second.finished.history] == [1, 2, 3]


def test_a_changed_recipe_file_starts_over(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    run([make_job("kd", source="before")], tiny, accelerator, tmp_path, stop_in=1)
    group = group_of([make_job("kd", source="after")], tiny, accelerator, tmp_path, Listener())
    assert group.stand.epoch == 0


def test_a_damaged_checkpoint_is_started_over(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    job = make_job("kd")
    run([job], tiny, accelerator, tmp_path, stop_in=1)
    [file] = tmp_path.rglob("checkpoint-*")
    file.write_bytes(file.read_bytes()[:1000])
    assert Workspace(tmp_path).stands(job.identity, "s") == (Stand(),)
    [trained] = run([make_job("kd")], tiny, accelerator, tmp_path)
    assert len(trained.finished.history) == 3


def test_another_precision_does_not_continue_silently(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    job = make_job("kd")
    run([job], tiny, accelerator, tmp_path, stop_in=1)
    files = Workspace(tmp_path).checkpoints
    checkpoint = files.newest(job.identity)
    assert checkpoint is not None
    engine = checkpoint.engine.model_copy(update={"precision": "bf16"})
    files.write(job.identity, replace(checkpoint, engine=engine))
    with pytest.raises(UsageError, match="--precision"):
        run([make_job("kd")], tiny, accelerator, tmp_path)


def break_at(recipe: Recipe, step: int, fault: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Make a real recipe misbehave from a step on."""
    whole, calls = recipe.forward, iter(range(1_000_000))

    def forward(batch, student, teacher):
        terms = whole(batch, student, teacher)
        return {k: fault(v) for k, v in terms.items()} if next(calls) >= step else terms

    recipe.forward = forward  # type: ignore[method-assign]


def test_a_learner_that_diverges_leaves_and_the_others_go_on(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    bad = make_job("kd")
    break_at(bad.recipe, 4, lambda term: term * float("nan"))
    diverged, other = run([bad, make_job("th-kd")], tiny, accelerator, tmp_path / "group")
    assert diverged.failed.status == "diverged"
    assert diverged.failed.failure.epoch == 2
    [alone] = run([make_job("th-kd")], tiny, accelerator, tmp_path / "alone")
    assert_same(other, alone)


def test_a_learner_that_raises_leaves_with_its_error(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    def fail(term: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError("one too many")

    bad = make_job("kd")
    break_at(bad.recipe, 2, fail)
    good, raised = run([make_job("vanilla"), bad], tiny, accelerator, tmp_path)
    failure = raised.failed.failure
    assert (raised.failed.status, failure.kind, failure.message, failure.epoch) == (
        "failed",
        "ZeroDivisionError",
        "one too many",
        1,
    )
    assert failure.where.startswith("test_loop.py:")
    assert good.finished.metrics.images == 24


def test_the_teacher_is_asked_once_a_batch(
    make_job: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = group_of([make_job(n) for n in GROUP], tiny, accelerator, tmp_path, Listener())
    [(network, teacher)] = group.teachers.by_network.items()
    calls = []
    monkeypatch.setitem(
        group.teachers.by_network, network, lambda images: calls.append(1) or teacher(images)
    )
    train(group)
    assert len(calls) == 3 * len(group.loader)


def test_validation_is_held_out_of_the_training_set(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    protocol = make_job("kd").protocol.model_copy(update={"validation": 0.2, "epochs": 1})
    jobs = [make_job("kd", protocol=protocol)]
    assert group_of(jobs, tiny, accelerator, tmp_path, Listener()).loader.images_per_epoch == 32
    [trained] = run(jobs, tiny, accelerator, tmp_path)
    assert trained.finished.metrics.images == 8
    assert trained.finished.metrics.evaluated_on == "validation"


def test_evaluating_seldom_changes_only_what_is_known_on_the_way(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    seldom = make_job("kd").protocol.model_copy(update={"evaluate_every": 2})
    [first] = run([make_job("kd")], tiny, accelerator, tmp_path / "a")
    [second] = run([make_job("kd", protocol=seldom)], tiny, accelerator, tmp_path / "b")
    assert_same(first, second)
    assert [row.top1 is not None for row in first.finished.history] == [True, True, True]
    assert [row.top1 is not None for row in second.finished.history] == [False, True, True]
    assert seldom.for_network("resnet8") == make_job("kd").protocol.for_network("resnet8")
