"""Every way in which a training ends is told from the others, and said in bounded words."""

from __future__ import annotations

import errno
import gc
import io
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.splits import DataSet
from benchmark.events import Listener
from benchmark.records.schema import Failure
from benchmark.training.ending import (
    MESSAGE_LENGTH,
    TRACEBACK_LENGTH,
    Disturbed,
    Failed,
    Finished,
    ended,
    failed,
)
from benchmark.training.faults import disturbance, printable
from benchmark.training.job import Job
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.loop import train
from benchmark.training.walls.guard import files_of
from benchmark.training.walls.listening import Steady
from tests.training.trained import assert_same, group_of, run

MakeJob = Callable[..., Job]


class ArrayMemoryError(MemoryError):
    """As numpy's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ArrayMemoryError("Unable to allocate 1 TiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: out of memory"),
    ],
    ids=lambda error: str(error)[:40],
)
def test_want_of_memory_is_told(error: Exception) -> None:
    ending = ended(error, 1)
    assert isinstance(ending, Failed)
    assert ending.status == "oom"


def test_memory_that_ends_for_real_is_told() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**52)
    assert failed(caught.value, 1).status == "oom"


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), False),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), False),
        (RuntimeError("DataLoader timed out after 60 seconds"), False),
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True),
        (RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer"), False),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), True),
        (UnicodeEncodeError("ascii", "→", 0, 1, "ordinal not in range"), True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_faults_of_the_surroundings_are_no_result(error: Exception, lasting: bool) -> None:
    ending = ended(error, 1)
    assert isinstance(ending, Disturbed)
    assert ending.lasting == lasting


def test_a_fault_that_was_reworded_is_found_below() -> None:
    def write() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise ValueError("cannot write") from None

    with pytest.raises(ValueError, match="cannot write") as caught:
        write()
    assert disturbance(caught.value) is not None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes differ"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling cublasGemmEx"),
    ],
)
def test_other_errors_are_the_methods_own(error: Exception) -> None:
    assert failed(error, 1).status == "failed"
    assert disturbance(error) is None


def test_what_a_recipe_opened_itself_is_its_own_fault() -> None:
    error = OSError(errno.EMFILE, "Too many open files")
    assert disturbance(error, own=True) is None
    assert disturbance(OSError(errno.ENOSPC, "full"), own=True) is not None


@given(st.text(alphabet=st.characters(), max_size=5_000))
def test_any_text_of_an_error_makes_a_valid_failure(text: str) -> None:
    ending = failed(ValueError(text), 1)
    failure = ending.failure
    for words in (failure.kind, failure.message, failure.where, ending.traceback):
        words.encode("utf-8")
        assert all(c.isprintable() or c in "\n\t" for c in words)
    assert len(failure.message) <= MESSAGE_LENGTH + 40
    assert Failure.model_validate_json(failure.model_dump_json()) == failure


def test_an_endless_text_is_cut_and_its_rest_counted() -> None:
    try:
        raise ValueError("x" * 5_000_000)
    except ValueError as error:
        ending = failed(error, 1)
    assert ending.failure.message.endswith("… (4998000 more characters)")
    assert len(ending.traceback) <= TRACEBACK_LENGTH + 40
    assert printable("a\x1b[2J\u202e\ud800\n", 100) == "a\\x1b[2J\\u202e\\ud800\n"


def test_an_error_is_placed_in_the_authors_own_file(make_job: MakeJob) -> None:
    recipe = make_job("kd").recipe
    kd = type(recipe)

    def forward(self, batch, student, teacher):
        return kd.forward(self, batch, student, teacher)  # where nothing has logits

    own = type("Own", (kd,), {"forward": forward})()
    assert [Path(file).name for file in files_of(type(own))][:2] == ["test_endings.py", "kd.py"]
    with pytest.raises(AttributeError) as caught:
        own.forward(None, None, None)
    assert failed(caught.value, 1).failure.where.startswith("_logits.py:")
    assert failed(caught.value, 1, files_of(type(own))).failure.where.startswith("test_endings.py:")


# ---------------------------------------------------------------------------- in a training


def test_a_member_whose_time_is_used_up_leaves_alone(
    make_job: MakeJob, tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    slow = make_job("kd")
    group = group_of([slow, make_job("vanilla")], tiny, accelerator, tmp_path, Listener())
    group.guard.limit_s = 1e6
    group.guard.spent[slow.identity] = 1e6 - 1e-9  # as if its steps until now had taken so long
    endings = train(group)
    ending = endings[slow.identity]
    assert isinstance(ending, Failed)
    assert (ending.status, ending.failure.epoch) == ("timeout", 1)
    assert "1e+06 s, in epoch 1, step 1 of 3" in ending.failure.message
    assert isinstance(endings[make_job("vanilla").identity], Finished)


def test_time_is_kept_over_a_continued_training(
    make_job: MakeJob, tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    run([make_job("kd")], tiny, accelerator, tmp_path, stop_in=2)
    group = group_of([make_job("kd")], tiny, accelerator, tmp_path, Listener())
    assert group.guard.spent[make_job("kd").identity] > 0


def test_memory_of_who_left_is_let_go(
    make_job: MakeJob, tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    held = []

    def fail(batch, student, teacher):
        held.extend(map(weakref.ref, (student.logits, teacher.logits)))
        raise ValueError("enough")

    def begin():
        jobs = [make_job("crd"), make_job("kd")]
        jobs[0].recipe.forward = fail  # type: ignore[method-assign]
        group = group_of(jobs, tiny, accelerator, tmp_path, Listener())
        learner = group.members[0].learner
        held.extend(map(weakref.ref, (learner, learner.optimiser, learner.recipe)))
        return group

    seen = []

    class Watching(Listener):
        def epoch_finished(self, epoch, learners, images_per_s):
            gc.collect()
            seen.append([ref() for ref in held])

    group = begin()
    group.listener = Steady(Watching())
    train(group)
    assert len(held) == 5
    assert seen == [[None] * 5] * 3


class Broken(Listener):
    """A terminal that can say nothing."""

    def __init__(self) -> None:
        self.stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    def epoch_finished(self, epoch, learners, images_per_s):
        self.stream.write("resnet20→resnet8")

    def images_done(self, images):
        raise BrokenPipeError

    def note(self, message):
        raise OSError(errno.ENOSPC, "No space left on device")

    def progress(self, title, total):
        raise ValueError("closed")


def test_a_listener_that_breaks_stops_nothing(
    make_job: MakeJob, tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    group = group_of([make_job("kd")], tiny, accelerator, tmp_path / "a", Broken())
    members = {member.job.identity: member for member in group.members}
    [ending] = train(group).values()
    assert isinstance(ending, Finished)
    [whole] = run([make_job("kd")], tiny, accelerator, tmp_path / "b")
    assert_same(replace(whole, ending=ending, member=next(iter(members.values()))), whole)
    with Steady(Broken()).progress("reading", 3) as advance:
        advance(1)


def test_a_full_disk_is_no_ones_failure(
    make_job: MakeJob,
    tiny: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*given, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Workspace, "save_known", full)
    with pytest.raises(OSError, match="No space left"):
        group_of([make_job("kd-plus-plus")], tiny, accelerator, tmp_path, Listener())


def test_a_failure_that_could_not_be_recorded_is_told_by_the_next_start(
    make_job: MakeJob, tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    bad, other = make_job("kd"), make_job("vanilla")
    group = group_of([bad, other], tiny, accelerator, tmp_path, Listener())
    told = failed(ValueError("on one process only"), 2)
    group.guard.agreement.write(bad, told)
    again = group_of([bad, make_job("vanilla")], tiny, accelerator, tmp_path, Listener())
    assert again.endings == {bad.identity: told}
    assert [member.job.label for member in again.members] == ["vanilla"]
    changed = make_job("kd", source="another")
    group.guard.agreement.write(bad, told)
    assert not group_of([changed], tiny, accelerator, tmp_path, Listener()).endings
    assert not group_of([make_job("kd")], tiny, accelerator, tmp_path, Listener()).endings
