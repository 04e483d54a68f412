"""The hooks of a recipe: what each of them does, what it costs, and that none disturbs another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from benchmark import Network, Part, Recipe
from benchmark.data.loaders.choice import make_loader
from benchmark.data.splits import DataSet
from benchmark.errors import RecipeError
from benchmark.events import Listener
from benchmark.recipe.batch import Batch
from benchmark.recipe.contract import RecipeInfo
from benchmark.registry import Catalogue
from benchmark.training.group import Group
from benchmark.training.job import Job, Setting
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.learner import Learner
from benchmark.training.loop import train
from benchmark.training.updates.schedule import learning_rate
from tests.training.trained import assert_same, group_of, run

MakeJob = Callable[..., Job]
HOOKED: dict[str, dict[str, Any]] = {
    "function-matching": {},
    "mean-teacher": {},
    "avg-teachers": {"teachers": 3},
    "kd-2views": {},
    "kd-plus-plus": {},
    "th-kd": {"projector_rate": 0.1},
}


@pytest.fixture
def hooked(make_job: MakeJob) -> Callable[[], list[Job]]:
    """A job for every recipe that uses a hook."""
    return lambda: [make_job(name, **settings) for name, settings in HOOKED.items()]


@pytest.fixture
def begin(tiny: DataSet, accelerator: Accelerator, tmp_path: Path) -> Callable[..., Group]:
    """A group that is ready to train."""
    return lambda *jobs: group_of(list(jobs), tiny, accelerator, tmp_path, Listener())


@pytest.fixture
def learner_of(tiny: DataSet, accelerator: Accelerator) -> Callable[[Job], Learner]:
    return lambda job: Learner(job, Setting(tiny.pictures, tiny.train.labels), accelerator)


def counted(group: Group, monkeypatch: pytest.MonkeyPatch) -> dict[int, list[int]]:
    """The images of every forward of every teacher of a group, by network."""
    seen: dict[int, list[int]] = {}
    for key, teacher in list(group.teachers.by_network.items()):
        calls = seen.setdefault(key, [])

        def ask(images: Tensor, teacher=teacher, calls=calls):
            calls.append(len(images))
            return teacher(images)

        monkeypatch.setitem(group.teachers.by_network, key, ask)
    return seen


# ------------------------------------------------------------------------------ all together


@pytest.mark.parametrize("accelerator", ["fp32", "bf16"], indirect=True)
def test_a_group_gives_each_member_what_it_gets_alone(
    hooked: Callable[[], list[Job]],
    make_job: MakeJob,
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    together = run([make_job("kd"), *hooked()], tiny, accelerator, tmp_path / "group")
    for number, job in enumerate([make_job("kd"), *hooked()]):
        [alone] = run([job], tiny, accelerator, tmp_path / f"alone-{number}")
        assert_same(together[number], alone)


@pytest.mark.parametrize("stop_in", [1, 2])
def test_an_interrupted_and_continued_training_is_the_whole_one(
    hooked: Callable[[], list[Job]],
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    stop_in: int,
) -> None:
    whole = run(hooked(), tiny, accelerator, tmp_path / "whole")
    run(hooked(), tiny, accelerator, tmp_path / "parts", stop_in=stop_in)
    continued = run(hooked(), tiny, accelerator, tmp_path / "parts")
    for first, second in zip(whole, continued, strict=True):
        assert_same(first, second)
        assert first.finished.cost.forwards_per_image == second.finished.cost.forwards_per_image


def test_images_through_networks_are_counted(
    hooked: Callable[[], list[Job]],
    make_job: MakeJob,
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    jobs = [make_job("vanilla"), make_job("kd"), *hooked()]
    costs = {
        trained.member.job.label: trained.finished.cost
        for trained in run(jobs, tiny, accelerator, tmp_path)
        if trained.member
    }
    passes = {k: (v.forwards_per_image, v.backwards_per_image) for k, v in costs.items()}
    assert passes == {
        "vanilla": (1, 1),
        "kd": (2, 1),
        "th-kd": (2, 1),
        "kd-plus-plus": (2, 1),
        "function-matching": (2, 1),
        "mean-teacher": (2, 1),
        "kd-2views": (4, 2),
        "avg-teachers": (4, 1),  # three teachers and the student
    }


def test_a_recipe_without_hooks_is_left_as_it_is(
    recipes: Catalogue[RecipeInfo],
    make_job: MakeJob,
    learner_of: Callable[[Job], Learner],
    tiny: DataSet,
) -> None:
    recipe = recipes.get("kd").cls()
    images, labels = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    batch = Batch(images, labels, torch.arange(2), 0.0)
    learner = learner_of(make_job("kd"))
    before = {k: v.clone() for k, v in learner.network.state_dict().items()}
    recipe.after_step(learner.network)
    assert recipe.view(batch) is batch
    assert (recipe.views, recipe.hears) == (1, ("teacher",))
    assert list(recipe.parameter_groups(learner.network)) == []
    assert all(torch.equal(v, before[k]) for k, v in learner.network.state_dict().items())
    [group] = learner.optimiser.param_groups
    assert list(map(id, group["params"])) == list(map(id, learner.lesson.parameters()))


# --------------------------------------------------------------------------------------- view


def test_recipes_that_look_alike_share_one_forward_of_each_teacher(
    make_job: MakeJob, begin: Callable[..., Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = begin(
        make_job("kd"),
        make_job("kd", temperature=2),
        make_job("function-matching"),
        make_job("function-matching", temperature=2),
        make_job("kd-2views"),
        make_job("kd-2views", temperature=2),
        make_job("avg-teachers"),
        make_job("vanilla"),
    )
    seen = counted(group, monkeypatch)
    train(group)
    steps = 3 * len(group.loader)
    first, second = seen.values()
    assert len(first) == 3 * steps, "the images, the mixed ones, both views"
    assert sum(first) == 3 * 40 * (1 + 1 + 2)
    assert len(second) == steps, "only those who hear two teachers"


def test_more_views_of_another_member_change_nothing(
    recipes: Catalogue[RecipeInfo],
    make_job: MakeJob,
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    three = type("ThreeViews", (recipes.get("kd-2views").cls,), {"views": 3})
    job = dataclasses.replace(make_job("kd-2views", temperature=3), recipe=three(temperature=3))
    others = [make_job("kd-2views"), make_job("mean-teacher"), make_job("function-matching")]
    costly, *together = run([job, *others], tiny, accelerator, tmp_path / "group")
    assert costly.finished.cost.forwards_per_image == 6
    for number, name in enumerate(("kd-2views", "mean-teacher", "function-matching")):
        [alone] = run([make_job(name)], tiny, accelerator, tmp_path / name)
        assert_same(together[number], alone)


# --------------------------------------------------------------------------------- after_step


def test_the_mean_teacher_is_the_average_that_the_definition_says(
    make_job: MakeJob, begin: Callable[..., Group]
) -> None:
    group = begin(make_job("mean-teacher", decay=0.8))
    [member] = group.members
    network, recipe = member.learner.network, member.learner.recipe
    slow = {k: v.double().clone() for k, v in network.state_dict().items()}
    follow, steps = recipe.after_step, []

    def after_step(network: Network) -> None:
        follow(network)
        steps.append(1)
        decay = min(1 - 1 / (len(steps) + 1), 0.8)
        for name, value in network.state_dict().items():
            slow[name] = decay * slow[name] + (1 - decay) * value.double()

    recipe.after_step = after_step  # type: ignore[method-assign]
    train(group)
    mean = recipe.get_submodule("mean")
    assert len(steps) == 3 * len(group.loader)
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), slow[name], rtol=1e-5, atol=1e-6)
    assert not torch.equal(mean.get_parameter("conv1.weight"), network.state_dict()["conv1.weight"])


def test_the_mean_teacher_is_in_eval_mode_and_not_trained(
    make_job: MakeJob, learner_of: Callable[[Job], Learner]
) -> None:
    learner, alone = learner_of(make_job("mean-teacher")), learner_of(make_job("vanilla"))
    learner.start_epoch(0)
    mean = learner.recipe.get_submodule("mean")
    assert learner.network.training
    assert not any(module.training for module in mean.modules())
    assert not any(p.requires_grad for p in mean.parameters())
    assert learner.training_parameters == alone.training_parameters
    for own, given in zip(mean.parameters(), alone.network.parameters(), strict=True):
        assert torch.equal(own, given), "it begins as the student begins"


# --------------------------------------------------------------------------- parameter_groups


def with_parts(job: Job, parts: Callable[[Network, Recipe], Iterable[Part]]) -> Job:
    """The job of a recipe that asks for some parts."""
    recipe = job.recipe
    recipe.parameter_groups = lambda network: parts(network, recipe)  # type: ignore[method-assign]
    return job


def test_the_rate_of_every_group_follows_the_schedule(
    make_job: MakeJob, begin: Callable[..., Group]
) -> None:
    group = begin(make_job("th-kd", projector_rate=0.1))
    [member] = group.members
    learner = member.learner
    learner.start_epoch(0)
    [loaded, *_] = group.loader.epoch(0)
    projector = learner.recipe.get_submodule("head.projector")
    rest, own = learner.optimiser.param_groups
    assert own["params"] == list(projector.parameters())
    assert len(rest["params"]) == len(list(learner.network.parameters()))
    for at in (0.5, 1.5, 2.5):
        batch = group.batch(loaded, count=0)
        learner.step(batch, group.teachers, weight=1.0, at=at, count=0)
        rate = learning_rate(member.job.protocol, "resnet8", at)
        assert [rest["lr"], own["lr"]] == pytest.approx([rate, 0.1 * rate])


def test_a_share_of_one_is_the_protocols_own_group(
    make_job: MakeJob, learner_of: Callable[[Job], Learner]
) -> None:
    learner = learner_of(make_job("th-kd"))
    [group] = learner.optimiser.param_groups
    assert list(map(id, group["params"])) == list(map(id, learner.lesson.trainable))


def test_a_part_has_its_own_decay_and_may_name_a_layer_twice(
    make_job: MakeJob, learner_of: Callable[[Job], Learner]
) -> None:
    job = with_parts(
        make_job("vanilla"),
        lambda network, recipe: [Part((network.classifier, network.classifier), decay=0.0)],
    )
    rest, own = learner_of(job).optimiser.param_groups
    assert (rest["weight_decay"], own["weight_decay"]) == (job.protocol.weight_decay, 0.0)
    assert [p.ndim for p in own["params"]] == [2, 1]


def test_a_parameter_in_two_parts_is_refused(
    make_job: MakeJob, learner_of: Callable[[Job], Learner]
) -> None:
    job = with_parts(
        make_job("vanilla"),
        lambda network, recipe: [Part((network,), rate=0.5), Part((network.classifier,))],
    )
    with pytest.raises(RecipeError, match="names a parameter in two parts"):
        learner_of(job)


def test_what_rests_is_in_no_group(make_job: MakeJob, learner_of: Callable[[Job], Learner]) -> None:
    def parts(network: Network, recipe: Recipe) -> list[Part]:
        return [Part((network.classifier,), rate=0.5)]

    learner = learner_of(with_parts(make_job("ft"), parts))  # its first stage trains no student
    trained = [p for group in learner.optimiser.param_groups for p in group["params"]]
    student = set(map(id, learner.network.parameters()))
    assert trained
    assert not student & set(map(id, trained))


# ------------------------------------------------------------------------------------- before


@pytest.fixture
def passes(recipes: Catalogue[RecipeInfo], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every pass that KD++ made over the training set."""
    made: list[int] = []
    cls = recipes.get("kd-plus-plus").cls
    whole = cls.before

    def before(self, context, passing):
        made.append(1)
        return whole(self, context, passing)

    monkeypatch.setattr(cls, "before", before)
    return made


def class_means(group: Group) -> Tensor:
    [member] = group.members
    return member.learner.recipe.get_buffer("_class_means")


def test_the_class_means_are_those_of_the_plain_images(
    make_job: MakeJob, begin: Callable[..., Group], tiny: DataSet
) -> None:
    job = make_job("kd-plus-plus")
    means = class_means(begin(job))
    options = {"batch_size": 1, "seed": 0, "device": "cpu", "train": False}
    embeddings: dict[int, list[Tensor]] = {}
    for loaded in make_loader(tiny.train, tiny.pictures, **options).epoch(0):
        embedding = job.roles["teacher"](loaded.images).embedding[0]
        embeddings.setdefault(int(loaded.labels), []).append(embedding)
    slow = torch.stack([torch.stack(embeddings[c]).mean(dim=0) for c in range(4)])
    torch.testing.assert_close(means, slow, rtol=1e-4, atol=1e-5)


def test_what_is_known_is_found_once_a_teacher(
    make_job: MakeJob, begin: Callable[..., Group], passes: list[int]
) -> None:
    first = class_means(begin(make_job("kd-plus-plus")))
    assert passes == [1]
    assert torch.equal(class_means(begin(make_job("kd-plus-plus"))), first)
    assert torch.equal(class_means(begin(make_job("kd-plus-plus", seed=5))), first)
    assert passes == [1], "kept with the teacher, for every seed"
    begin(make_job("kd-plus-plus", dropout=0.25))
    begin(make_job("kd-plus-plus", source="another file"))
    other = dataclasses.replace(make_job("kd-plus-plus"), role_identities={"teacher": "o" * 64})
    begin(other)
    held_out = make_job("kd-plus-plus").protocol.model_copy(update={"validation": 0.2})
    begin(make_job("kd-plus-plus", protocol=held_out))
    assert len(passes) == 5, "other settings, another file, another teacher, fewer images"


def test_another_second_teacher_is_another_pass(
    recipes: Catalogue[RecipeInfo], make_job: MakeJob, begin: Callable[..., Group]
) -> None:
    made: list[set[str]] = []

    def before(self, context, passing):
        made.append({role for _, heard in passing for role in heard})
        return {}

    cls = type("Knowing", (recipes.get("avg-teachers").cls,), {"before": before})

    def job(second: str) -> Job:
        heard = {"teacher": "t" * 64, "second": second * 64}
        return dataclasses.replace(make_job("avg-teachers"), recipe=cls(), role_identities=heard)

    for second in "ababa":
        begin(job(second))
    assert made == [{"teacher", "second"}] * 2


def test_random_choices_of_before_are_the_same_whoever_makes_the_pass(
    recipes: Catalogue[RecipeInfo], make_job: MakeJob, begin: Callable[..., Group], tmp_path: Path
) -> None:
    """It is kept for every seed, so that it may not depend on which seed came first."""
    found: list[Tensor] = []

    def before(self, context, passing):
        found.append(torch.rand(3))
        return {}

    cls = type("Drawing", (recipes.get("kd").cls,), {"before": before})
    for seed in (0, 5):
        begin(dataclasses.replace(make_job("kd", seed=seed), recipe=cls(), role_identities={}))
    first, second = found
    assert torch.equal(first, second)


def test_what_is_known_may_be_parts_of_one_tensor(tmp_path: Path) -> None:
    whole, workspace = torch.rand(4, 3), Workspace(tmp_path)
    workspace.save_known("t" * 64, "k", {"whole": whole, "first": whole[0], "turned": whole.t()})
    known = workspace.load_known("t" * 64, "k")
    assert known is not None
    assert torch.equal(known["first"], whole[0])
    assert torch.equal(known["turned"], whole.t())


def test_a_damaged_file_is_found_anew(
    make_job: MakeJob, begin: Callable[..., Group], passes: list[int], tmp_path: Path
) -> None:
    first = class_means(begin(make_job("kd-plus-plus")))
    [file] = tmp_path.rglob("before-*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert torch.equal(class_means(begin(make_job("kd-plus-plus"))), first)
    assert len(passes) == 2
    assert file.read_bytes() == whole


def test_what_is_known_goes_with_the_weights_that_it_was_found_with(
    make_job: MakeJob, begin: Callable[..., Group], passes: list[int], tmp_path: Path
) -> None:
    job = make_job("kd-plus-plus")
    begin(job)
    weights = job.roles["teacher"].state_dict()
    Workspace(tmp_path).save_weights(job.role_identities["teacher"], weights, recorded=None)
    begin(make_job("kd-plus-plus"))
    assert len(passes) == 2


def test_before_does_not_see_the_weights_of_one_seed(
    make_job: MakeJob, begin: Callable[..., Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job("kd-plus-plus")

    def before(self, context, passing):
        return {"odd": next(context.network.parameters())}

    monkeypatch.setattr(type(job.recipe), "before", before)
    group = begin(job)
    [ending] = group.endings.values()
    assert "kept for every seed" in ending.failure.message  # type: ignore[union-attr]


# --------------------------------------------------------------------------------- the network


def test_build_may_look_at_the_network(
    make_job: MakeJob, learner_of: Callable[[Job], Learner]
) -> None:
    seen: list[nn.Module] = []
    job = make_job("vanilla")
    job.recipe.build = lambda context: seen.append(context.network)  # type: ignore[method-assign]
    assert learner_of(job).network is seen[0]
