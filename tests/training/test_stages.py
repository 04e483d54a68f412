"""Stages before the main one: what they train, how long, and that nothing else changes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from benchmark.cards.card import Protocol
from benchmark.data.splits import DataSet
from benchmark.errors import RecipeError
from benchmark.networks.creation import create_network
from benchmark.recipe.contract import Recipe
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.stage import Stage
from benchmark.training.ending import Stopped
from benchmark.training.job import Job, Setting
from benchmark.training.learner import Learner
from benchmark.training.updates.schedule import learning_rate
from benchmark.training.updates.stages import lead_of, spans_of
from tests.training.trained import assert_same, run, weights

PROTOCOL = Protocol(name="p", epochs=24, batch_size=16, lr=0.05, schedule="cosine", warmup_epochs=2)


def recipe(name: str, **settings: Any) -> Recipe:
    return load_recipes().get(name).cls(**settings)


def test_a_first_stage_comes_on_top_of_the_protocol() -> None:
    first, main = spans_of(recipe("ab"), PROTOCOL)
    assert (first.start, first.epochs) == (-3, 3)
    assert (main.start, main.epochs) == (0, 24)
    assert lead_of(recipe("ab"), PROTOCOL) == 3
    assert lead_of(recipe("ab", first_stage=0.001), PROTOCOL) == 1, "a stage has an epoch at least"
    assert lead_of(recipe("kd"), PROTOCOL) == 0


def test_it_keeps_the_base_rate_and_the_main_stage_has_the_protocols_own() -> None:
    first, main = spans_of(recipe("ft", first_rate=0.2), PROTOCOL)
    rates = [first.rate(PROTOCOL, "resnet8", at) for at in (-3.0, -2.0, -1.0, -0.5)]
    assert rates == pytest.approx([0.0, 0.005, 0.01, 0.01])
    for at in (0.0, 1.0, 12.0, 24.0):
        assert main.rate(PROTOCOL, "resnet8", at) == learning_rate(PROTOCOL, "resnet8", at)
    assert [first.progress(at) for at in (-3.0, -1.5)] == [0.0, 0.5]


@pytest.mark.parametrize("shares", [(), (0.5,), (0.0, 1.0), (math.nan, 1.0), (1.0, 0.5)], ids=str)
def test_the_last_stage_is_the_whole_protocol(shares: tuple[float, ...]) -> None:
    odd = recipe("vanilla")
    odd.stages = lambda: tuple(  # type: ignore[method-assign]
        Stage(str(share), share, odd.forward) for share in shares
    )
    with pytest.raises(RecipeError, match="share 1"):
        spans_of(odd, PROTOCOL)


def test_a_layer_cannot_hide_a_method() -> None:
    with pytest.raises(RecipeError, match="calls a layer 'stages'"):
        recipe("vid").stages = torch.nn.Linear(1, 1)  # type: ignore[assignment]


@pytest.fixture
def job_of(make_job: Callable[..., Job]) -> Callable[..., Job]:
    """A job whose teacher has the student's widths, which FSP asks for."""
    torch.manual_seed(11)
    teacher = create_network("resnet14", classes=4).eval().requires_grad_(False)

    def make(name: str, **settings: Any) -> Job:
        job = make_job(name, **settings)
        return dataclasses.replace(job, roles={"teacher": teacher} if job.roles else {})

    return make


def learner(job: Job, data: DataSet, accelerator: Accelerator) -> Learner:
    return Learner(job, Setting(data.pictures, data.train.labels), accelerator)


@pytest.mark.parametrize(
    ("name", "resting", "training"),
    [
        ("ab", ["network.fc."], ["network.conv1.", "network.layer3."]),
        ("fsp", ["network.fc."], ["network.conv1.", "network.layer3."]),
        ("ft", ["network.", "recipe.translator."], ["recipe.paraphraser.", "recipe.decoder."]),
    ],
)
def test_what_rests_stays_as_it_is(
    name: str,
    resting: list[str],
    training: list[str],
    job_of: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    """Weights and BatchNorm statistics, after a stage that a run was stopped behind."""
    job = job_of(name)
    before = learner(job, tiny, accelerator).lesson.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    [seat] = run([job_of(name)], tiny, accelerator, tmp_path, stop_in=1)
    assert seat.member is not None
    [row] = seat.member.progress.history
    assert row.top1 is None, "there is nothing to evaluate yet"
    after = weights(seat)
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert not {key for key in changed if key.startswith(tuple(resting))}
    for part in training:
        assert any(key.startswith(part) for key in changed), part


@pytest.mark.parametrize("stop_in", [2, 3, 5])
def test_a_run_goes_on_from_either_stage(
    job_of: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    stop_in: int,
) -> None:
    """Stopped within the first stage, at its end, and within the main one; three epochs each."""
    whole, stopped, continued = (
        run(
            [job_of(name, first_stage=1) for name in ("ab", "ft", "fsp")],
            tiny,
            accelerator,
            tmp_path / folder,
            stop_in=at,
        )
        for folder, at in (("whole", None), ("parts", stop_in), ("parts", None))
    )
    assert [trained.ending for trained in stopped] == [Stopped(stop_in, 6)] * 3
    for first, second in zip(whole, continued, strict=True):
        assert second.finished
        assert [row.epoch for row in second.finished.history] == [1, 2, 3, 4, 5, 6]
        assert_same(first, second)


@pytest.mark.parametrize(("name", "part"), [("ab", "recipe.connectors."), ("ft", "recipe.p")])
def test_what_rests_later_stays_as_the_first_stage_left_it(
    name: str,
    part: str,
    make_job: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    [first] = run([make_job(name)], tiny, accelerator, tmp_path, stop_in=1)
    before = {key: value.clone() for key, value in weights(first).items()}
    [last] = run([make_job(name)], tiny, accelerator, tmp_path)
    assert last.finished
    kept = [key for key in before if key.startswith(part)]
    assert kept
    assert all(torch.equal(weights(last)[key], before[key]) for key in kept)
    assert not torch.equal(weights(last)["network.conv1.weight"], before["network.conv1.weight"])


@pytest.mark.parametrize("average", [0.0, 0.99])
def test_the_main_stage_sees_the_batches_of_every_other_method(
    job_of: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    average: float,
) -> None:
    """FT without its term is plain training, whatever came before; so is the average of both."""
    protocol = job_of("vanilla").protocol.model_copy(update={"average": average})
    words = {"protocol": protocol}
    [alone] = run([job_of("vanilla", **words)], tiny, accelerator, tmp_path / "alone")
    [after] = run([job_of("ft", ft_weight=0.0, **words)], tiny, accelerator, tmp_path / "after")
    own = after.finished.weights
    for name, value in alone.finished.weights.items():
        assert torch.equal(value, own[name]), name


def test_a_stage_that_cannot_begin_stops_its_learner_alone(
    job_of: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    bad = job_of("ft")
    bad.recipe.rest_later = lambda student: [student, bad.recipe]  # type: ignore[method-assign]
    broken, good = run([bad, job_of("ab")], tiny, accelerator, tmp_path)
    assert broken.failed.failure.message.endswith("stage 'main': everything rests.")
    assert good.finished


def test_a_training_that_continues_in_a_later_stage_measures_its_cost_once(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator
) -> None:
    """The meter of the first stage, which no step closed, must not stay on the network."""
    setting = Setting(tiny.pictures, tiny.train.labels)
    learner = Learner(make_job("ab"), setting, accelerator)
    learner.start_epoch(0)
    state = learner.state_dict()
    continued = Learner(make_job("ab"), setting, accelerator)
    continued.load_state_dict(state)
    assert len(continued.network._forward_hooks) == 1
