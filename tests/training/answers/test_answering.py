"""Runs that read what teachers said before are the runs that had them say it, bit for bit."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.cards.card import Protocol
from benchmark.data.splits import DataSet
from benchmark.errors import DisturbanceError, UsageError
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network
from benchmark.recipe.pair import Role
from benchmark.records.schema import Cost
from benchmark.training.answers import keep as keep_module
from benchmark.training.answers.files import SUFFIX
from benchmark.training.answers.keep import Keep
from benchmark.training.job import Job
from benchmark.training.teaching import Teacher
from tests.training.trained import Asked, Trained, assert_same_but_for_time, run_until

EPOCHS, STEPS, BATCH = 2, 3, 16  # of the jobs: 40 images in batches of 16
PROTOCOL = Protocol(
    name="t", epochs=EPOCHS, batch_size=BATCH, lr=0.05, schedule="cosine", evaluate_every=EPOCHS
)


def other(**words: Any) -> Protocol:
    """A protocol that differs in these words."""
    return PROTOCOL.model_copy(update=words)


@pytest.fixture(scope="module")
def network_of() -> Callable[[Role], Network]:
    """A small teacher, not trained."""
    torch.manual_seed(11)
    network = create_network("resnet8", classes=4).eval().requires_grad_(False)
    return lambda role: network


@pytest.fixture
def job_of(make_job: Callable[..., Job]) -> Callable[..., Job]:
    return functools.partial(make_job, protocol=PROTOCOL)


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images that teachers looked at in steps of the last training, in order."""
    seen, compute = list[int](), Teacher.__call__

    def counted(self: Teacher, images: Tensor) -> object:
        if len(images) <= BATCH:  # the test set is one larger batch
            seen.append(len(images))
        return compute(self, images)

    monkeypatch.setattr(Teacher, "__call__", counted)
    return seen


@pytest.fixture
def trained(
    tiny: DataSet, accelerator: Accelerator, tmp_path: Path, forwards: list[int]
) -> Callable[..., list[Trained]]:
    """Trains jobs in a folder of their own."""
    folders = (tmp_path / f"runs{number}" for number in itertools.count())

    def run(
        jobs: list[Job],
        keep: Keep | None = None,
        *,
        listener: Asked | None = None,
        folder: Path | None = None,
    ) -> list[Trained]:
        listener, folder = listener or Asked(), folder or next(folders)
        forwards.clear()
        return run_until(jobs, tiny, accelerator, folder, listener=listener, keep=keep)

    return run


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    return Keep(tmp_path / "cache")


def parts(keep: Keep) -> list[Path]:
    return sorted(keep.folder.rglob(f"*{SUFFIX}/*/*.safetensors"))


def cost(trained: Trained) -> Cost:
    return trained.finished.cost


def test_a_run_from_kept_answers_is_the_run_that_ran_its_teacher(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
) -> None:
    names = ("kd", "th-kd", "crd")
    plain = trained([job_of(name) for name in names])
    first = trained([job_of("kd")], keep)
    assert len(forwards) == EPOCHS * STEPS
    again = trained([job_of(name) for name in names], keep)
    assert len(forwards) == EPOCHS  # the first of each epoch is compared with what is kept
    for one, other in zip(plain, again, strict=True):
        assert_same_but_for_time(one, other)
    assert_same_but_for_time(plain[0], first[0])
    assert cost(first[0]).teacher_outputs_read is None
    assert cost(again[0]).teacher_outputs_read == pytest.approx(2 / 3)
    assert cost(again[0]).teacher_outputs is None


def test_a_stopped_run_goes_on_from_what_is_kept(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    tmp_path: Path,
    forwards: list[int],
) -> None:
    plain = trained([job_of("kd"), job_of("vanilla")])
    trained([job_of("th-kd")], keep)
    for steps in (2, 5):
        stopped = [job_of("kd"), job_of("vanilla")]
        trained(stopped, keep, listener=Asked(steps), folder=tmp_path / "parts")
    going_on = [job_of("kd"), job_of("vanilla")]
    continued = trained(going_on, keep, folder=tmp_path / "parts")
    for one, other in zip(plain, continued, strict=True):
        assert_same_but_for_time(one, other)
    assert len(forwards) < EPOCHS * STEPS
    assert cost(continued[0]).teacher_outputs_read is not None
    assert cost(continued[1]).teacher_outputs_read is None  # vanilla hears no one


def test_an_epoch_that_is_kept_in_part_is_read_in_part(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.training.answers.answering.PART_BYTES", 1)  # a step each
    plain = trained([job_of("kd")])
    trained([job_of("kd")], keep, listener=Asked(5))
    assert len(parts(keep)) == 5
    rest = trained([job_of("kd")], keep)
    assert len(forwards) == EPOCHS * STEPS - 5 + 2
    assert len(parts(keep)) == EPOCHS * STEPS
    assert_same_but_for_time(plain[0], rest[0])


def test_a_longer_training_reads_the_epochs_of_a_shorter_one(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
) -> None:
    trained([job_of("kd", protocol=other(epochs=1, evaluate_every=1))], keep)
    trained([job_of("kd")], keep)
    assert len(forwards) == EPOCHS * STEPS - (STEPS - 1)


@pytest.mark.parametrize(
    "words",
    [
        {"seed": 1},
        {"protocol": other(mixup=0.2)},
        {"protocol": other(validation=0.1)},
    ],
    ids=["seed", "mixing", "held out"],
)
def test_what_sees_other_batches_has_answers_of_its_own(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    words: dict[str, Any],
) -> None:
    trained([job_of("kd")], keep)
    [first] = trained([job_of("kd", **words)], keep)
    assert cost(first).teacher_outputs_read is None
    [again] = trained([job_of("kd", **words)], keep)
    assert cost(again).teacher_outputs_read is not None
    assert_same_but_for_time(first, again)
    assert len(parts(keep)) == 2 * EPOCHS


def test_who_needs_more_than_is_kept_runs_the_teacher_and_keeps_for_others(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
) -> None:
    plain = trained([job_of("at"), job_of("kd")])
    for _ in range(2):
        run = trained([job_of("at"), job_of("kd")], keep)
        assert len(forwards) == EPOCHS * STEPS
        for one, other in zip(plain, run, strict=True):
            assert_same_but_for_time(one, other)
    [alone] = trained([job_of("kd")], keep)
    assert len(forwards) == EPOCHS
    assert_same_but_for_time(plain[1], alone)


def test_a_view_of_its_own_is_not_what_is_kept(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
) -> None:
    plain = trained([job_of("function-matching"), job_of("kd")])
    trained([job_of("function-matching")], keep)
    assert parts(keep) == []
    trained([job_of("kd")], keep)
    run = trained([job_of("function-matching"), job_of("kd")], keep)
    assert len(forwards) == EPOCHS * STEPS + EPOCHS
    for one, other in zip(plain, run, strict=True):
        assert_same_but_for_time(one, other)
    assert cost(run[0]).teacher_outputs_read is None


@pytest.mark.parametrize("accelerator", ["bf16"], indirect=True)
def test_bfloat16_is_kept_exactly_too(
    job_of: Callable[..., Job], trained: Callable[..., list[Trained]], keep: Keep
) -> None:
    [plain] = trained([job_of("kd")])
    trained([job_of("kd")], keep)
    [run] = trained([job_of("kd")], keep)
    assert cost(run).teacher_outputs_read is not None
    assert_same_but_for_time(plain, run)


def test_a_part_that_is_damaged_is_made_anew(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
) -> None:
    [plain] = trained([job_of("kd")], keep)
    whole = [part.read_bytes() for part in parts(keep)]
    cut, flipped = parts(keep)
    cut.write_bytes(whole[0][:1000])
    flipped.write_bytes(whole[1][:-1] + bytes([whole[1][-1] ^ 1]))
    listener = Asked()
    [run] = trained([job_of("kd")], keep, listener=listener)
    assert_same_but_for_time(plain, run)
    assert len(forwards) == EPOCHS * STEPS
    assert sum("is made anew" in note for note in listener.notes) == 2
    assert [part.read_bytes() for part in parts(keep)] == whole


def test_answers_that_are_not_what_the_teacher_says_here_are_not_heard(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    forwards: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a machine that adds up in another order and calls itself the same."""
    [plain] = trained([job_of("kd")])
    with monkeypatch.context() as elsewhere:
        compute = Teacher.__call__

        def differently(self: Teacher, images: Tensor) -> object:
            said = compute(self, images)
            return replace(said, logits=said.logits * (1 + 1e-6))

        elsewhere.setattr(Teacher, "__call__", differently)
        trained([job_of("kd")], keep)
    whole = [part.read_bytes() for part in parts(keep)]
    listener = Asked()
    [run] = trained([job_of("kd")], keep, listener=listener)
    assert_same_but_for_time(plain, run)
    assert len(forwards) == EPOCHS * STEPS
    assert any("bit for bit" in note for note in listener.notes)
    assert [part.read_bytes() for part in parts(keep)] == whole


def test_images_that_a_recipe_wrote_into_before_it_asked_are_not_kept(
    job_of: Callable[..., Job], trained: Callable[..., list[Trained]], keep: Keep
) -> None:
    [plain] = trained([job_of("kd")])
    bad = job_of("th-kd")
    hear = bad.recipe.forward

    def spoiling(batch, student, teacher):
        batch.images.zero_()  # as of a step that is made again, with its teacher asked again
        teacher.logits.zero_()
        return hear(batch, student, teacher)

    bad.recipe.forward = spoiling  # type: ignore[method-assign]
    _, run = trained([bad, job_of("kd")], keep)
    assert_same_but_for_time(plain, run)
    [again] = trained([job_of("kd")], keep)
    assert cost(again).teacher_outputs_read is not None
    assert_same_but_for_time(plain, again)


def test_fp16_is_heard_rounded_whether_read_or_computed_and_the_record_says_so(
    job_of: Callable[..., Job], trained: Callable[..., list[Trained]], tmp_path: Path
) -> None:
    exact, half = Keep(tmp_path / "exact"), Keep(tmp_path / "half", "fp16")
    plain = trained([job_of("kd"), job_of("vanilla")], exact)
    first = trained([job_of("kd"), job_of("vanilla")], half)
    [read] = trained([job_of("kd")], half)
    assert_same_but_for_time(first[0], read)
    assert_same_but_for_time(first[1], plain[1])
    assert [cost(one).teacher_outputs for one in (first[0], read)] == ["fp16", "fp16"]
    assert cost(first[1]).teacher_outputs is cost(plain[0]).teacher_outputs is None
    loss, rounded = (t.finished.history[-1].terms["kd"] for t in (plain[0], read))
    assert loss != rounded
    assert rounded == pytest.approx(loss, rel=1e-3)
    sizes = [sum(len(part.read_bytes()) for part in parts(keep)) for keep in (exact, half)]
    assert sizes[1] < 0.6 * sizes[0]


def test_fp16_is_refused_where_it_moves_the_loss(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compute = Teacher.__call__

    def loud(self: Teacher, images: Tensor) -> object:
        said = compute(self, images)
        return replace(said, logits=said.logits + 1e4)  # of no matter, but for rounding

    monkeypatch.setattr(Teacher, "__call__", loud)
    with pytest.raises(DisturbanceError, match="moves the loss"):
        trained([job_of("kd")], Keep(tmp_path, "fp16"))


def test_the_size_is_said_before_and_a_full_disk_refused(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = Asked()
    trained([job_of("kd")], keep, listener=listener)
    said = next(note for note in listener.notes if note.startswith("keeping"))
    # 4 classes and the 64 of resnet8's embedding.
    assert "2 epochs × 40 images × 68 numbers × 4 bytes = 21.8 kB" in said
    there = sum(part.stat().st_size for part in parts(keep))
    assert there >= 21_760
    usage = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr(keep_module.shutil, "disk_usage", lambda folder: usage)
    trained([job_of("th-kd")], keep)  # nothing is missing
    with pytest.raises(UsageError, match=r"needs 21.8 kB more .* 10 kB free"):
        trained([job_of("kd", seed=1)], keep)


def test_a_disk_that_fails_costs_the_keeping_and_not_the_training(
    job_of: Callable[..., Job],
    trained: Callable[..., list[Trained]],
    keep: Keep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    [plain] = trained([job_of("kd")])
    monkeypatch.setattr("benchmark.training.answers.files.write_whole", full)
    listener = Asked()
    [run] = trained([job_of("kd")], keep, listener=listener)
    assert_same_but_for_time(plain, run)
    assert sum("No space left" in note for note in listener.notes) == 1
    assert parts(keep) == []


def test_other_weights_of_a_teacher_are_another_teacher(
    job_of: Callable[..., Job], trained: Callable[..., list[Trained]], keep: Keep
) -> None:
    trained([job_of("kd")], keep)
    roles = {role: shifted(network) for role, network in job_of("kd").roles.items()}
    [run] = trained([replace(job_of("kd"), roles=roles)], keep)
    assert cost(run).teacher_outputs_read is None
    assert len(parts(keep)) == 2 * EPOCHS


def shifted(network: Network) -> Network:
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.classifier.bias += 0.5
    return other
