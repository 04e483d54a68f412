"""Whatever a recipe does, those beside it get the numbers that they get without it."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from benchmark.cards.card import Protocol
from benchmark.data.splits import DataSet
from benchmark.recipe.contract import RecipeInfo
from benchmark.registry import Catalogue
from benchmark.training.ending import Failed, Finished
from benchmark.training.job import Job
from benchmark.training.loop import train
from benchmark.training.member import Member
from benchmark.training.walls.surroundings import unchanged
from benchmark.training.walls.wall import Wall
from tests.support.identities import identity_for
from tests.support.listeners import Noting
from tests.training.ill_behaved import OFFENDERS, recipe_of
from tests.training.trained import Trained, assert_same, group_of

GOOD = ("vanilla", "kd", "crd", "kd-2views")
PARTS = 4  # groups that the offenders train in
SHORT = Protocol(name="t", epochs=2, batch_size=16, lr=0.05, schedule="cosine")
MakeJob = Callable[..., Job]


@pytest.fixture
def offender(make_job: MakeJob, recipes: Catalogue[RecipeInfo]) -> MakeJob:
    def make(name: str) -> Job:
        job = make_job("kd", protocol=SHORT)
        identity = identity_for(name)
        return replace(job, identity=identity, label=name, recipe=recipe_of(name, recipes))

    return make


@pytest.fixture
def good(make_job: MakeJob, recipes: Catalogue[RecipeInfo]) -> Callable[[], list[Job]]:
    """Good recipes, and one that draws from random states that are not torch's."""

    def noisy(self, batch, student, teacher):
        terms = recipes.get("kd").cls.forward(self, batch, student, teacher)
        factor = random.random() + np.random.rand()  # noqa: NPY002
        return {name: factor * term for name, term in terms.items()}

    def make() -> list[Job]:
        jobs = [make_job(name, protocol=SHORT) for name in GOOD]
        cls = type("Noisy", (recipes.get("kd").cls,), {"forward": noisy})
        return [
            *jobs,
            replace(jobs[1], identity=identity_for("noisy"), label="noisy", recipe=cls()),
        ]

    return make


def trained_together(
    jobs: list[Job], data: DataSet, accelerator: Accelerator, folder: Path
) -> tuple[dict[str, Trained], list[str]]:
    listener = Noting()
    group = group_of(jobs, data, accelerator, folder, listener)
    members: dict[str, Member] = {member.job.identity: member for member in group.members}
    endings = train(group)
    trained = {job.label: Trained(endings[job.identity], members.get(job.identity)) for job in jobs}
    return trained, listener.notes


def state_of_the_process() -> tuple[object, ...]:
    return (
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.empty(0).device,
        os.getcwd(),
        dict(os.environ),
        signal.getsignal(signal.SIGTERM),
        sys.stdout,
        gc.isenabled(),
        list(warnings.filters),
    )


@pytest.fixture
def undisturbed(
    good: Callable[[], list[Job]], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> dict[str, Trained]:
    return trained_together(good(), tiny, accelerator, tmp_path / "undisturbed")[0]


def test_ill_behaved_recipes_do_not_disturb_others_and_are_named(
    offender: MakeJob,
    good: Callable[[], list[Job]],
    undisturbed: dict[str, Trained],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    before = state_of_the_process()
    names, wrong = list(OFFENDERS), []
    for part in range(PARTS):
        beside = [offender(name) for name in names[part::PARTS]]
        half = len(beside) // 2
        # The second half goes before some of the good ones, too.
        jobs = [*beside[:half], *good()[:2], *beside[half:], *good()[2:]]
        trained, notes = trained_together(jobs, tiny, accelerator, tmp_path / str(part))
        assert state_of_the_process() == before
        for job in good():
            assert_same(trained[job.label], undisturbed[job.label])
        for job in beside:
            wrong += faults_of(job.label, trained[job.label], notes)
    assert wrong == [], "\n".join(wrong)


def faults_of(name: str, trained: Trained, notes: list[str]) -> list[str]:
    """How an offender's end differs from what is said of it in the table."""
    offender, ending = OFFENDERS[name], trained.ending
    if offender.status == "ok":
        told = [note for note in notes if note.startswith(f"{name}: ")]
        if not isinstance(ending, Finished):
            return [f"{name}: {ending}"]
        expected = int(bool(offender.said))
        named = [note for note in told if offender.said in note]
        if len(named) == expected or (not expected and not told):
            return []
        return [f"{name}: {told}"]
    if not isinstance(ending, Failed):
        return [f"{name}: finished"]
    failure = ending.failure
    if (
        ending.status == offender.status
        and offender.said in failure.message
        and offender.kind in failure.kind
        and len(failure.message) < 2_100
        and "\x1b" not in failure.message
    ):
        return []
    return [f"{name}: {ending.status} {failure.kind} {failure.message[:200]}"]


def test_what_is_asked_before_a_training_changes_nothing_either() -> None:
    before = state_of_the_process()
    with unchanged():
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        os.environ["KDBENCH_TEST"] = "1"
        torch.set_default_device("meta")
    assert state_of_the_process() == before


def test_a_state_that_is_the_engines_own_stays_while_a_view_is_made() -> None:
    wall = Wall()
    wall.enter()
    with torch.inference_mode(), wall.engine():
        made = torch.zeros(1) + 1
        assert not made.is_inference()
    assert wall.found == {}
    torch.set_default_dtype(torch.float64)
    with wall.engine():
        assert torch.zeros(1).dtype == torch.float32
    assert torch.get_default_dtype() == torch.float64, "the hook is not over"
    wall.leave()
    assert torch.get_default_dtype() == torch.float32
    assert list(wall.found) == ["torch.set_default_dtype"]
