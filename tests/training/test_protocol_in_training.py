"""What a protocol asks for reaches the training of every method, and survives a pause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from benchmark.cards.protocol import Protocol
from benchmark.data.loaders.batches import stable_seed
from benchmark.data.loaders.choice import make_loader
from benchmark.data.splits import DataSet
from benchmark.events import Listener
from benchmark.recipe.batch import Batch
from benchmark.recipe.mixing import mix
from benchmark.training.group import Group
from benchmark.training.job import Job, Setting
from benchmark.training.learner import Learner
from benchmark.training.loop import train
from benchmark.training.updates.optimiser import norms_and_biases
from tests.training.trained import Trained, assert_same, group_of, run

METHODS = ("vanilla", "kd", "crd", "mean-teacher", "kd-plus-plus")
ALPHAS = {"mixup": {"mixup": 0.8}, "cutmix": {"cutmix": 1.0}, "both": {"mixup": 0.8, "cutmix": 1.0}}
MakeJob = Callable[..., Job]


@pytest.fixture
def job_under(make_job: MakeJob) -> Callable[..., Job]:
    """A job whose protocol has some other values."""

    def make(name: str, recipe: dict[str, Any] | None = None, **changes: Any) -> Job:
        usual = make_job("vanilla").protocol
        protocol = Protocol.model_validate(usual.model_dump() | changes)
        return make_job(name, protocol=protocol, **(recipe or {}))

    return make


@pytest.fixture
def begin(tiny: DataSet, accelerator: Accelerator, tmp_path: Path) -> Callable[..., Group]:
    return lambda *jobs: group_of(list(jobs), tiny, accelerator, tmp_path, Listener())


def watched(job: Job) -> list[Batch]:
    """The batches of which a job's recipe makes its loss."""
    seen, whole = [], job.recipe.forward

    def forward(batch: Batch, student: Any, teacher: Any) -> dict[str, Tensor]:
        seen.append(batch)
        return whole(batch, student, teacher)

    job.recipe.forward = forward  # type: ignore[method-assign]
    return seen


# ------------------------------------------------------------------------------- the batches


def test_smoothed_labels_reach_every_method(
    job_under: Callable[..., Job], begin: Callable[..., Group]
) -> None:
    jobs = [job_under(name, label_smoothing=0.2) for name in METHODS]
    seen = [watched(job) for job in jobs]
    group = begin(*jobs)
    train(group)
    loaded = [batch for epoch in range(3) for batch in group.loader.epoch(epoch)]
    for batches in seen:
        for one, raw in zip(batches, loaded, strict=True):
            slow = torch.full((len(raw.labels), 4), 0.2 / 4)
            for row, label in enumerate(raw.labels.tolist()):
                slow[row, label] += 0.8
            torch.testing.assert_close(one.labels, slow)
            assert torch.equal(one.images, raw.images)


def test_smoothing_of_the_protocol_is_that_of_the_recipe(
    job_under: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    [by_protocol] = run([job_under("vanilla", label_smoothing=0.1)], tiny, accelerator, tmp_path)
    recipe = job_under("label-smoothing", {"smoothing": 0.1})
    [by_recipe] = run([recipe], tiny, accelerator, tmp_path)
    kept = by_recipe.finished.weights
    for name, value in by_protocol.finished.weights.items():
        torch.testing.assert_close(value, kept[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("alphas", ALPHAS.values(), ids=ALPHAS)
def test_mixed_batches_reach_every_method_alike(
    job_under: Callable[..., Job], begin: Callable[..., Group], alphas: dict[str, float]
) -> None:
    jobs = [job_under(name, label_smoothing=0.1, **alphas) for name in METHODS]
    seen = [watched(job) for job in jobs]
    group = begin(*jobs)
    train(group)
    loaded = [batch for epoch in range(3) for batch in group.loader.epoch(epoch)]
    asked = {"mixup": 0.0, "cutmix": 0.0} | alphas
    for count, raw in enumerate(loaded):
        seed = torch.Generator().manual_seed(stable_seed(0, "mix", count, 0))
        slow = mix(raw.images, raw.labels, 4, generator=seed, **asked)
        labels = torch.full((len(raw.labels), 4), 0.1 / 4)
        for row, (partner, share) in enumerate(zip(slow.partner, slow.share, strict=True)):
            labels[row, raw.labels[row]] += 0.9 * share
            labels[row, raw.labels[partner]] += 0.9 * (1 - share)
        for batches in seen:
            assert torch.equal(batches[count].images, slow.images)
            torch.testing.assert_close(batches[count].labels, labels)
            assert torch.equal(batches[count].index, raw.index)


def test_all_views_are_mixed_with_the_same_partners(
    job_under: Callable[..., Job], begin: Callable[..., Group]
) -> None:
    job = job_under("mean-teacher", mixup=0.8)
    seen = watched(job)
    group = begin(job)
    train(group)
    raw = next(iter(group.loader.epoch(0)))
    seed = torch.Generator().manual_seed(stable_seed(0, "mix", 0, 0))
    slow = mix(raw.images, raw.labels, 4, mixup=0.8, cutmix=0.0, generator=seed)
    own = slow.share[0].item()
    for view, mixed in zip((raw.images, *raw.views), (seen[0].images, *seen[0].views), strict=True):
        torch.testing.assert_close(mixed, own * view + (1 - own) * view[slow.partner])


# ---------------------------------------------------------------------------------- the steps


def gradients(learner: Learner) -> list[list[Tensor]]:
    """The gradients with which a learner's optimiser makes each of its steps."""
    steps: list[list[Tensor]] = []
    learner.optimiser.register_step_pre_hook(
        lambda optimiser, *_: steps.append(
            [p.grad.clone() for group in optimiser.param_groups for p in group["params"]]
        )
    )
    return steps


@pytest.mark.parametrize("name", ["vanilla", "crd"])
def test_the_gradients_norm_is_cut_down_over_student_and_recipe(
    job_under: Callable[..., Job], begin: Callable[..., Group], name: str
) -> None:
    found = []
    for clip_norm in (0.0, 0.5):
        group = begin(job_under(name, clip_norm=clip_norm))
        [member] = group.members
        steps = gradients(member.learner)
        member.learner.start_epoch(0)
        loaded = next(iter(group.loader.epoch(0)))
        batch = group.batch(loaded, count=0)
        member.learner.step(batch, group.teachers, weight=1.0, at=0.5, count=0)
        found += steps
    plain, clipped = found
    norm = torch.cat([grad.flatten() for grad in plain]).norm()
    assert norm > 0.5
    for whole, cut in zip(plain, clipped, strict=True):
        torch.testing.assert_close(cut, whole * 0.5 / norm, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["vanilla", "srrl"])
def test_norms_and_biases_are_spared_of_student_and_recipe(
    job_under: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, name: str
) -> None:
    job = job_under(name, decay_norms=False, weight_decay=0.01)
    learner = Learner(job, Setting(tiny.pictures, tiny.train.labels), accelerator)
    spared = norms_and_biases(learner.lesson)
    decays = {
        parameter: group["weight_decay"]
        for group in learner.optimiser.param_groups
        for parameter in group["params"]
    }
    assert set(decays) == set(learner.lesson.trainable)
    assert {0.01, 0.0} == set(decays.values())
    for parameter, decay in decays.items():
        assert decay == (0.0 if parameter in spared else 0.01)
        assert (decay == 0.0) == (parameter.ndim <= 1)


# -------------------------------------------------------------------------------- the average


def right(trained: Trained, data: DataSet, network: torch.nn.Module) -> float:
    """Top-1 in percent of a network on the test set, one image at a time."""
    options = {"batch_size": 1, "seed": 0, "device": "cpu", "train": False}
    network.eval()
    with torch.no_grad():
        hits = [
            int(network(image.images).logits.argmax() == image.labels)
            for image in make_loader(data.test, data.pictures, **options).epoch(0)
        ]
    return 100 * sum(hits) / len(hits)


def test_the_average_is_evaluated_and_kept(
    job_under: Callable[..., Job], begin: Callable[..., Group], tiny: DataSet
) -> None:
    group = begin(job_under("kd", average=0.7))
    [member] = group.members
    learner = member.learner
    slow = {k: v.double().clone() for k, v in learner.network.state_dict().items()}
    count = 0

    def follow(*_: object) -> None:
        nonlocal count
        decay = min(0.7, (1 + count) / (10 + count))
        count += 1
        for name, value in learner.network.state_dict().items():
            slow[name] = decay * slow[name] + (1 - decay) * value.double()

    learner.optimiser.register_step_post_hook(follow)
    [ending] = train(group).values()
    done = Trained(ending, member)
    assert count == 3 * len(group.loader)
    for name, value in done.finished.weights.items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), slow[name], rtol=1e-5, atol=1e-6)
    assert learner.result is not learner.network
    assert not torch.equal(learner.network.classifier.weight, done.finished.weights["fc.weight"])
    assert done.finished.metrics.top1 == pytest.approx(right(done, tiny, learner.result))


def test_the_average_changes_nothing_in_the_training(
    job_under: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    [plain] = run([job_under("kd")], tiny, accelerator, tmp_path / "plain")
    [averaged] = run([job_under("kd", average=0.7)], tiny, accelerator, tmp_path / "averaged")
    assert averaged.member is not None
    for name, value in averaged.member.learner.network.state_dict().items():
        assert torch.equal(value, plain.finished.weights[name])


# ----------------------------------------------------------------------------- after a pause

UNUSUAL: dict[str, dict[str, Any]] = {
    "average": {"average": 0.8},
    "adamw": {"optimiser": "adamw", "lr": 1e-3, "betas": (0.9, 0.95), "decay_norms": False},
    "lamb": {"optimiser": "lamb", "lr": 1e-2},
    "all": {
        "optimiser": "nadamw",
        "lr": 1e-3,
        "clip_norm": 1.0,
        "label_smoothing": 0.1,
        "mixup": 0.8,
        "cutmix": 1.0,
        "average": 0.9,
        "min_lr": 1e-5,
        "decay_norms": False,
    },
}


@pytest.mark.parametrize("changes", UNUSUAL.values(), ids=UNUSUAL)
def test_a_continued_training_is_the_whole_one(
    job_under: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    def jobs() -> list[Job]:
        return [job_under(name, **changes) for name in ("kd", "crd", "mean-teacher")]

    whole = run(jobs(), tiny, accelerator, tmp_path / "whole")
    run(jobs(), tiny, accelerator, tmp_path / "parts", stop_in=2)
    continued = run(jobs(), tiny, accelerator, tmp_path / "parts")
    for first, second in zip(whole, continued, strict=True):
        assert_same(first, second)
        kept = second.finished.weights
        for name, value in first.finished.weights.items():
            assert torch.equal(value, kept[name])


@pytest.mark.parametrize("changes", UNUSUAL.values(), ids=UNUSUAL)
def test_it_learns(
    job_under: Callable[..., Job],
    begin: Callable[..., Group],
    changes: dict[str, Any],
) -> None:
    """The loss on the plain training images falls below that of a guess."""
    group = begin(job_under("vanilla", **(changes | {"epochs": 12})))
    [member] = group.members
    train(group)
    network, losses = member.learner.network.eval(), []
    with torch.no_grad():
        for loaded in group.loader.epoch(0):
            losses.append(F.cross_entropy(network(loaded.images).logits, loaded.labels))
    assert torch.stack(losses).mean() < torch.tensor(4.0).log()
