"""A training stops after any step, and goes on as if it had not."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from benchmark.cards.card import Card
from benchmark.cards.transforms import RandAugment
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.opening import load_data
from benchmark.data.pictures import Pictures
from benchmark.data.splits import DataSet
from benchmark.networks.creation import create_network
from benchmark.training.ending import Disturbed, Stopped
from benchmark.training.job import Job
from benchmark.training.keeping.stand import Stand
from benchmark.training.keeping.workspace import Workspace
from tests.support.identities import identity_for
from tests.training.trained import Asked, Trained, assert_same_but_for_time, group_of, run_until

Train = Callable[..., list[Trained]]
STEPS = 3  # of an epoch: 40 images in batches of 16
EPOCHS = 3


@pytest.fixture
def make(make_job: Callable[..., Job]) -> Callable[..., Job]:
    """A job whose teacher has the student's widths, which FSP asks for."""
    torch.manual_seed(11)
    teacher = create_network("resnet14", classes=4).eval().requires_grad_(False)

    def job(name: str, **settings: Any) -> Job:
        made = make_job(name, **settings)
        return replace(made, roles={"teacher": teacher} if made.roles else {})

    return job


@pytest.fixture
def train(tiny: DataSet, accelerator: Accelerator) -> Train:
    def trained(jobs: list[Job], folder: Path, **words: Any) -> list[Trained]:
        return run_until(jobs, words.pop("data", tiny), accelerator, folder, **words)

    return trained


def in_parts(
    train: Train, jobs: Callable[[], list[Job]], folder: Path, steps: Iterator[int], **words: Any
) -> list[Trained]:
    """Train with a stop after so many steps, again and again."""
    for count in steps:
        done = train(jobs(), folder, steps=count, **words)
        if not any(isinstance(trained.ending, Stopped) for trained in done):
            return done
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (("crd",), {}),
        (("vanilla", "kd", "crd"), {}),
        (("ab", "ft", "fsp"), {"first_stage": 0.5}),
        (("kd-plus-plus", "mean-teacher"), {}),
    ],
    ids=["alone", "group", "stages", "memories"],
)
@pytest.mark.parametrize("average", [0.0, 0.9], ids=["plain", "average"])
def test_a_stop_after_every_step_changes_nothing(
    make: Callable[..., Job],
    train: Train,
    tmp_path: Path,
    names: tuple[str, ...],
    settings: dict[str, Any],
    average: float,
) -> None:
    def jobs() -> list[Job]:
        protocol = make("vanilla").protocol.model_copy(update={"average": average})
        return [make(name, protocol=protocol, **settings) for name in names]

    whole = train(jobs(), tmp_path / "whole")
    parts = in_parts(train, jobs, tmp_path / "parts", itertools.repeat(1))
    for first, second in zip(whole, parts, strict=True):
        assert_same_but_for_time(first, second)


@pytest.mark.parametrize("steps", [2, 4, 5, 7])
def test_steps_of_any_number_lie_between_stops(
    make: Callable[..., Job], train: Train, tmp_path: Path, steps: int
) -> None:
    jobs = lambda: [make("kd"), make("crd")]  # noqa: E731
    whole = train(jobs(), tmp_path / "whole")
    parts = in_parts(train, jobs, tmp_path / "parts", itertools.repeat(steps))
    for first, second in zip(whole, parts, strict=True):
        assert_same_but_for_time(first, second)


def test_a_group_and_its_members_alone_go_on_from_each_other(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    train([make("kd"), make("crd")], tmp_path, steps=4)
    [alone] = train([make("crd")], tmp_path)
    [whole] = train([make("crd")], tmp_path / "whole")
    assert_same_but_for_time(whole, alone)
    assert alone.finished.cost.group == (make("kd").identity,)


def test_the_ending_says_where_it_stopped(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    for steps, ending in ((2, Stopped(0, 3, 2)), (1, Stopped(0, 3, 3)), (1, Stopped(1, 3, 1))):
        assert [t.ending for t in train([make("kd")], tmp_path, steps=steps)] == [ending]
    assert Workspace(tmp_path).stands(make("kd").identity, "s") == (Stand(1, 1), Stand(0, 3))


def test_a_stop_within_an_examination_examines_again(
    make: Callable[..., Job],
    tiny: DataSet,
    accelerator: Accelerator,
    train: Train,
    tmp_path: Path,
) -> None:
    from benchmark.training.loop import train as to_the_end

    group = group_of([make("kd")], tiny, accelerator, tmp_path, Asked())
    plain = group.examination.loader.epoch

    def epoch(number: int) -> Iterator[Any]:
        group.pauses.halt.ask()
        yield from plain(number)

    group.examination.loader.epoch = epoch  # type: ignore[method-assign]
    assert list(to_the_end(group).values()) == [Stopped(0, 3, 3)]
    [continued] = train([make("kd")], tmp_path)
    [whole] = train([make("kd")], tmp_path / "whole")
    assert_same_but_for_time(whole, continued)


class Killed(BaseException):
    """The process is gone."""


class Death(Asked):
    """Dies at a step, without a word to anyone."""

    def images_done(self, images: int) -> None:
        super().images_done(images)
        if self.halt.asked:
            raise Killed


def die_after(
    steps: int, jobs: list[Job], train: Train, folder: Path, *, checkpoint_s: float = 0.0
) -> None:
    with pytest.raises(Killed):
        train(jobs, folder, listener=Death(steps), checkpoint_s=checkpoint_s)


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_what_is_due_is_written_within_an_epoch_and_a_death_loses_no_more(
    make: Callable[..., Job], train: Train, tmp_path: Path, steps: int
) -> None:
    die_after(steps, [make("crd")], train, tmp_path)
    found = Workspace(tmp_path).stands(make("crd").identity, "s")
    last = Stand(*divmod(steps - 1, STEPS))
    assert found[0] == last
    assert len(found) == min(2, steps - 1)
    [continued] = train([make("crd")], tmp_path)
    [whole] = train([make("crd")], tmp_path / "whole")
    assert_same_but_for_time(whole, continued)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    die_after(6, [make("kd")], train, tmp_path)
    newest, before = sorted(tmp_path.rglob("checkpoint-*"), reverse=True)
    damage(newest)
    listener = Asked()
    [continued] = train([make("kd")], tmp_path, listener=listener)
    [note] = listener.notes
    assert str(newest) in note
    assert "seal is broken" in note
    [whole] = train([make("kd")], tmp_path / "whole")
    assert_same_but_for_time(whole, continued)
    assert before.name == "checkpoint-0001-000001.safetensors"


@pytest.mark.parametrize("which", [0, 1])
def test_members_at_different_places_go_on_from_the_newest_that_all_have(
    make: Callable[..., Job],
    train: Train,
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    which: int,
) -> None:
    """As after a death between the checkpoints of two members."""
    names = ("kd", "crd")
    die_after(6, [make(name) for name in names], train, tmp_path)
    folder = Workspace(tmp_path).folder(make(names[which]).identity)
    max(folder.glob("checkpoint-*")).unlink()
    group = group_of([make(n) for n in names], tiny, accelerator, tmp_path, Asked())
    assert group.stand == Stand(1, 1)
    continued = train([make(name) for name in names], tmp_path)
    whole = train([make(name) for name in names], tmp_path / "whole")
    for first, second in zip(whole, continued, strict=True):
        assert_same_but_for_time(first, second)


def test_who_goes_back_for_others_keeps_no_checkpoint_ahead(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    die_after(6, [make("kd"), make("crd")], train, tmp_path)
    space = Workspace(tmp_path)
    max(space.folder(make("kd").identity).glob("checkpoint-*")).unlink()
    train([make("kd"), make("crd")], tmp_path, steps=1)  # back to (1, 1), one step on
    for name in ("kd", "crd"):
        assert space.stands(make(name).identity, "s") == (Stand(1, 2), Stand(1, 1))


def test_a_pickle_of_an_older_version_is_not_opened_and_starts_over(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    old = Workspace(tmp_path).folder(make("kd").identity) / "checkpoint.pt"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    listener = Asked(1)
    train([make("kd")], tmp_path, listener=listener)
    assert "older version" in listener.notes[0]
    assert not old.exists()
    assert not (tmp_path / "ran").exists()


def test_another_engine_goes_on_and_the_record_says_so(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    job = make("kd")
    train([job], tmp_path, steps=2)
    files = Workspace(tmp_path).checkpoints
    checkpoint = files.newest(job.identity)
    assert checkpoint is not None
    other = checkpoint.engine.model_copy(update={"torch": "2.0.0", "threads": 7})
    files.write(job.identity, replace(checkpoint, engine=other))
    listener = Asked(1)
    train([make("kd")], tmp_path, listener=listener)
    assert "torch 2.0.0" in listener.notes[0]
    [done] = train([make("kd")], tmp_path)
    assert done.finished.cost.earlier == (other,)
    [whole] = train([make("kd")], tmp_path / "whole")
    assert whole.finished.cost.earlier is None
    assert "earlier" not in whole.finished.cost.model_dump()


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_a_method(
    make: Callable[..., Job],
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: int,
) -> None:
    names = ("kd", "vanilla")
    train([make(name) for name in names], tmp_path, steps=2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(descriptor: int) -> None:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        disturbed = train([make(name) for name in names], tmp_path, checkpoint_s=0.0)
    for trained in disturbed:
        assert isinstance(trained.ending, Disturbed)
        assert trained.ending.lasting
        assert os.strerror(fault) in trained.ending.reason
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    continued = train([make(name) for name in names], tmp_path)
    whole = train([make(name) for name in names], tmp_path / "whole")
    for first, second in zip(whole, continued, strict=True):
        assert_same_but_for_time(first, second)


def test_what_a_recipe_cannot_have_kept_is_its_own_failure(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    bad = make("kd")
    cls = type("Odd", (type(bad.recipe),), {"get_extra_state": lambda self: {"a": object()}})
    bad = replace(bad, recipe=cls(), identity=identity_for("odd"))
    failed, good = train([bad, make("kd")], tmp_path, checkpoint_s=0.0)
    assert "object" in failed.failed.failure.message
    assert good.finished


def test_weights_that_are_not_finite_are_no_result(
    make: Callable[..., Job], train: Train, tmp_path: Path
) -> None:
    bad = make("vanilla")
    plain = type(bad.recipe).after_step

    def after_step(self: Any, network: Any) -> None:
        plain(self, network)
        network.bn1.running_mean[0] = float("inf")

    cls = type("Wild", (type(bad.recipe),), {"after_step": after_step})
    [ended] = train([replace(bad, recipe=cls())], tmp_path)
    assert ended.failed.status == "diverged"


def test_the_loader_with_workers_goes_on_within_an_epoch(
    cache_dir: Path,
    tiny: DataSet,
    make: Callable[..., Job],
    train: Train,
    accelerator: Accelerator,
    tmp_path: Path,
) -> None:
    card: Card = tiny.card.model_copy(update={"augmentation": (RandAugment(name="rand_augment"),)})
    protocol = make("vanilla").protocol
    data = replace(load_data(card, None, cache_dir, protocol=protocol), card=card)
    assert data.pictures == Pictures.of(card, protocol)
    group = group_of([make("crd")], data, accelerator, tmp_path / "look", Asked())
    assert isinstance(group.loader, WorkersLoader)
    [whole] = train([make("crd")], tmp_path / "whole", data=data)
    parts = in_parts(
        train, lambda: [make("crd")], tmp_path / "parts", itertools.repeat(4), data=data
    )
    assert_same_but_for_time(whole, parts[0])
