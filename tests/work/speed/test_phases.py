"""The parts of a step: they are those of the step that is trained, and change nothing in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from benchmark.data.splits import DataSet
from benchmark.matrix.plan import cells_of
from benchmark.matrix.request import Request, choice_of
from benchmark.matrix.run import Run
from benchmark.recipe.batch import Batch, Heard, Terms
from benchmark.recipe.discovery import load_recipes
from benchmark.work.fitting import Fitting
from benchmark.work.speed import Bench
from benchmark.work.speed.phases import Marks, Phases

CPU = torch.device("cpu")


@pytest.fixture
def runs(card_folder: Path) -> dict[str, Run]:
    request = Request(datasets=["tiny"], recipes=["vanilla", "kd"], seeds="1", paths=[card_folder])
    cells, _ = cells_of(choice_of(request), load_recipes([]), Fitting().refusal)
    return {cell.run.recipe_label: cell.run for cell in cells}


@pytest.fixture
def bench(tiny: DataSet, accelerator: Accelerator) -> Bench:
    return Bench(tiny, load_recipes([]), accelerator, seconds=0.01)


@pytest.mark.parametrize(
    ("names", "phases"),
    [
        (["vanilla"], ["load", "view", "student", "loss", "backward", "update"]),
        (["kd"], ["load", "view", "teacher", "student", "loss", "backward", "update"]),
        (["vanilla", "kd"], ["load", "view", "teacher", "student", "loss", "backward", "update"]),
    ],
)
def test_a_step_has_these_parts(
    bench: Bench, runs: dict[str, Run], names: list[str], phases: list[str]
) -> None:
    chosen = [runs[name] for name in names]
    steps = bench.steps(chosen)
    parts = Phases(steps, bench.task(steps, chosen), CPU)
    parts.take(0.0)
    assert list(parts.medians()) == phases
    assert all(elapsed >= 0 for elapsed in parts.medians().values())


def test_marks_change_nothing_and_are_taken_away(bench: Bench, runs: dict[str, Run]) -> None:
    chosen = [runs["kd"]]
    marked, plain = bench.steps(chosen), bench.steps(chosen)
    teachers = marked.teachers
    batches = [next(bench.task(plain, chosen).batches) for _ in range(3)]
    task = bench.task(marked, chosen)
    phases = Phases(marked, type(task)(iter(batches), marked.step), CPU)
    for _ in batches:
        phases.take(0.0)
    for batch in batches:
        plain.step(batch)
    [one], [other] = marked.learners, plain.learners
    for name, weights in one.network.state_dict().items():
        assert torch.equal(weights, other.network.state_dict()[name]), name
    assert marked.teachers is teachers
    hooks = (one.lesson._forward_pre_hooks, one.lesson._forward_hooks, one.network._forward_hooks)
    assert not any(hooks)


def test_no_hook_is_put_into_a_program(
    bench: Bench, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler would find it in the lesson's code, and give the program up."""
    steps = bench.steps([runs["kd"]])
    [learner] = steps.learners
    plain, hooks = learner.forward, list[bool]()

    def program(batch: Batch, heard: Heard) -> Terms:
        hooks.append(any((learner.lesson._forward_hooks, learner.network._forward_pre_hooks)))
        return plain(batch, heard)

    monkeypatch.setattr(learner, "programs", object())
    monkeypatch.setattr(learner, "forward", program)
    parts = Phases(steps, bench.task(steps, [runs["kd"]]), CPU)
    parts.take(0.0)
    parts.take(0.0)
    assert hooks[-1:] == [False]  # the first step is metered by a hook, and goes the plain way
    assert list(parts.medians()) == ["load", "view", "teacher", "student", "backward", "update"]
    assert learner.forward is program


def test_the_parts_add_up_to_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([1.0, 1.5, 1.75, 2.5, 3.5])
    marks = Marks(CPU)
    monkeypatch.setattr(marks, "_now", lambda: next(moments))
    marks.begin()
    marks.end("load")
    marks.end("student")
    marks.end("loss")
    marks.end("student")  # which some losses ask again
    assert marks.milliseconds() == {"load": 500.0, "student": 1250.0, "loss": 750.0}


@pytest.mark.gpu
def test_on_a_gpu_the_parts_are_those_of_its_own_clock() -> None:
    device = torch.device("cuda")
    product = torch.randn(2048, 2048, device=device)
    marks = Marks(device)
    marks.begin()
    marks.end("load")
    for _ in range(20):
        product @ product
    marks.end("student")
    parts = marks.milliseconds()
    assert parts["student"] > parts["load"]
