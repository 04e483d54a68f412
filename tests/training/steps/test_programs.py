"""Compiled steps are the plain ones, faster; what does not compile is trained plainly."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark import Batch
from benchmark.data.pictures import Pictures
from benchmark.data.splits import DataSet
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.registry import Catalogue
from benchmark.training.job import Job, Setting
from benchmark.training.learner import Learner
from benchmark.training.steps.programs import FOLDER, Programs, keep_programs, programs_for
from benchmark.training.teaching import Teachers
from benchmark.training.walls.randomness import seed_all
from tests.training.conftest import PROTOCOL
from tests.training.trained import Asked, Trained, assert_same_but_for_time, run_until

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="needs a C++ compiler"
)
CPU = torch.device("cpu")
SETTING = Setting(
    Pictures(classes=4, size=32, mean=(0.5,) * 3, std=(0.2,) * 3, augmentation=()),
    torch.arange(400) % 4,
)


@pytest.fixture(scope="session", autouse=True)
def programs_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder of programs for all these tests, which compile the same more than once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(tmp_path_factory.mktemp("programs")))
        yield


def second_step(
    job: Job, accelerator: Accelerator, programs: Programs | None
) -> tuple[dict[str, Tensor], Tensor]:
    """The loss terms and all gradients of a learner's second step."""
    job = replace(job, recipe=copy.deepcopy(job.recipe))
    learner = Learner(job, SETTING, accelerator, programs=programs)
    learner.start_epoch(0)
    learner._meter.close()  # the first step would go the plain way
    heard = [job.roles[role] for role in job.heard]
    needs = job.recipe.info.needs
    teachers = Teachers(heard, device=CPU, dtype=torch.float32, needs=needs, programs=programs)
    generator = torch.Generator().manual_seed(5)
    for progress in (0.05, 0.1):
        images = torch.randn(16, 3, 32, 32, generator=generator)
        batch = Batch(
            images.to(memory_format=torch.channels_last), SETTING.labels[:16], torch.arange(16),
            progress, class_count=4, draw=7,
        )  # fmt: skip
        seed_all(9)
        learner.optimiser.zero_grad()
        teachers.next_batch()
        terms = learner.forward(batch, job.hear(teachers.ask, batch.images))
        torch.stack(list(terms.values())).sum().backward()
    gradients = [p.grad.flatten() for p in learner._trained if p.grad is not None]
    return {name: term.detach() for name, term in terms.items()}, torch.cat(gradients)


@needs_compiler
def test_a_compiled_step_is_the_plain_one(
    make_job: Callable[..., Job], accelerator: Accelerator
) -> None:
    """The loss to its rounding; the gradient as near as sums in another order let it be.

    A pre-activation that is 0 but for rounding lets a gradient through or not.
    """
    notes: list[str] = []
    job = make_job("crd")
    terms, gradient = second_step(job, accelerator, None)
    compiled, its_gradient = second_step(job, accelerator, Programs(CPU, 16, notes.append))
    assert not any("not compiled" in note for note in notes)
    assert compiled.keys() == terms.keys()
    for term, value in terms.items():
        torch.testing.assert_close(compiled[term], value, rtol=1e-5, atol=1e-6)
    assert (its_gradient - gradient).norm() <= 2e-3 * gradient.norm()


@pytest.mark.slow
@needs_compiler
def test_a_compiled_training_that_was_stopped_goes_on_to_the_same_weights(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    def jobs() -> list[Job]:
        return [make_job("dkd")]  # whose loss reads how far the training is

    def trained(folder: str, steps: int | None = None) -> list[Trained]:
        listener = Asked(steps)
        ended = run_until(
            jobs(), tiny, accelerator, tmp_path / folder, listener=listener, compiled=True
        )
        assert [note for note in listener.notes if "compil" not in note] == []
        return ended

    whole = trained("whole")
    trained("parts", steps=4)
    for first, second in zip(whole, trained("parts"), strict=True):
        assert_same_but_for_time(first, second)
        assert second.finished.cost.compiled is True


BRANCHES = '''"""A method whose loss looks at its own value."""

import torch.nn.functional as F

from benchmark import Batch, Outputs, Recipe, Terms, register


@register("branches", family="other", paper="")
class Branches(Recipe):
    hears = ()

    def forward(self, batch: Batch, student: Outputs, teacher: None) -> Terms:
        ce = F.cross_entropy(student.logits, batch.labels)
        return {"ce": 2 * ce if ce.item() > 1 else ce}
'''


@pytest.fixture
def recipes(tmp_path: Path) -> Catalogue[RecipeInfo]:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "branches.py").write_text(BRANCHES)
    return load_recipes((tmp_path / "recipes",))


@needs_compiler
def test_what_does_not_compile_is_trained_plainly_and_said_once(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    said = Asked()
    [tried] = run_until(
        [make_job("branches")], tiny, accelerator, tmp_path / "a", listener=said, compiled=True
    )
    [plain] = run_until([make_job("branches")], tiny, accelerator, tmp_path / "b")
    assert_same_but_for_time(tried, plain)
    [note] = [note for note in said.notes if "is not compiled" in note]
    assert note.startswith("branches is not compiled: ")
    assert tried.finished.cost.compiled is None


def test_without_a_compiler_nothing_is_compiled_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torch._inductor import config

    torch._dynamo.reset()  # as in a process that has compiled nothing
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(config.cpp, "cxx", (None, str(tmp_path / "no-compiler")))
    notes: list[str] = []
    assert made(Machine(CPU), True, note=notes.append) is None
    [note] = notes
    assert note.startswith("nothing is compiled: ")
    assert "such as g++" in note


@dataclass(frozen=True)
class Machine:
    """What of an accelerator decides whether to compile."""

    device: torch.device
    num_processes: int = 1


GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("machine", "choice", "steps"),
    [
        (Machine(CPU), None, 10**6),
        (Machine(CPU), False, 10**6),
        (Machine(GPU), False, 10**6),
        (Machine(GPU), None, 100),
        (Machine(GPU, 2), None, 10**6),
    ],
)
def test_nothing_is_compiled_where_that_does_not_pay(
    machine: Machine, choice: bool | None, steps: int
) -> None:
    assert made(machine, choice, steps=steps) is None


def test_several_processes_compile_nothing_and_say_so() -> None:
    notes: list[str] = []
    assert made(Machine(CPU, 2), True, note=notes.append) is None
    [note] = notes
    assert "several processes" in note


def made(
    machine: Machine,
    choice: bool | None,
    *,
    steps: int = 10**6,
    note: Callable[[str], object] = print,
) -> Programs | None:
    return programs_for(choice, cast("Accelerator", machine), PROTOCOL, steps=steps, note=note)


def test_programs_are_kept_in_the_cache_unless_someone_named_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for told, expected in (
        (None, tmp_path / "programs"),
        (Path(tempfile.gettempdir()) / "torchinductor_me", tmp_path / "programs"),
        (tmp_path / "mine", tmp_path / "mine"),
    ):
        monkeypatch.delenv(FOLDER, raising=False)
        if told is not None:
            monkeypatch.setenv(FOLDER, str(told))
        keep_programs(tmp_path)
        assert os.environ[FOLDER] == str(expected)
