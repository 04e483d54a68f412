"""The folder of runs by cell, and what of it can go."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.events import Listener
from benchmark.launch.claims import Claims
from benchmark.launch.kept.listing import KeptRun, list_runs
from benchmark.launch.kept.pruning import NEEDLESS, needless, open_cells, remove
from benchmark.launch.session import Session
from benchmark.records.schema import RunSpec
from tests.support.sessions import Execute, Make

CHECKPOINT = "checkpoint-0002-000000.safetensors"


class Impatient(Listener):
    """Presses Ctrl-C in the second epoch."""

    def epoch_started(self, epoch: int, images: int) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)


def today(_: RunSpec) -> None:
    return None


@pytest.fixture
def done(session: Make, execute: Execute) -> Session:
    """A teacher and a student that are recorded."""
    made = session("kd")
    execute(made)
    return session("kd")


@pytest.fixture
def halfway(session: Make, execute: Execute) -> Session:
    """A run that was stopped in its second epoch."""
    execute(session("vanilla", protocol="longer"), listener=Impatient())
    return session("vanilla", protocol="longer")


@pytest.fixture
def listed() -> Callable[[Session], list[KeptRun]]:
    def of(made: Session) -> list[KeptRun]:
        return list_runs(made.workspace.root, made.store.all().records)

    return of


Listed = Callable[[Session], list[KeptRun]]


def folder_of(made: Session, label: str) -> Path:
    [run] = [run for run in made.runs().values() if label in run.label]
    return made.workspace.folder(run.identity)


def test_a_half_trained_run_is_listed_by_its_cell(halfway: Session, listed: Listed) -> None:
    [run] = listed(halfway)
    assert run.cell == "tiny/resnet8/vanilla+longer/seed0"
    told = run.as_json()
    assert (told["state"], told["epoch"], told["epochs"]) == ("half trained", 1, 4)
    assert told["bytes"] == sum(file.stat().st_size for file in run.folder.iterdir())
    assert told["label"] == "resnet8 vanilla"


def test_finished_runs_are_listed_by_their_records(done: Session, listed: Listed) -> None:
    for folder in done.workspace.root.glob("*/run.json"):
        folder.unlink()  # as versions before this one left it
    assert [(run.cell, run.state) for run in listed(done)] == [
        ("tiny/resnet14/vanilla/seed0", "done"),
        ("tiny/resnet14__resnet8/kd/seed0", "done"),
    ]


def test_a_word_that_is_not_true_is_not_believed(halfway: Session, listed: Listed) -> None:
    [path] = halfway.workspace.root.glob("*/run.json")
    words = json.loads(path.read_text())
    for text in (json.dumps(words | {"seed": 7}), "[" * 100_000, "{}", "", "\0"):
        path.write_text(text)
        [run] = listed(halfway)
        assert (run.spec, run.cell, run.epochs) == (None, "", 0)
    path.unlink()
    path.symlink_to("/etc/passwd")
    [run] = listed(halfway)
    assert run.cell == ""


def test_what_is_no_folder_of_a_run_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "runs" / "slurm").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "0123456789abcdef").symlink_to(tmp_path / "elsewhere")
    assert list_runs(tmp_path / "runs", []) == []
    assert list_runs(tmp_path / "nowhere", []) == []


def test_what_is_needed_stays(done: Session, halfway: Session, listed: Listed) -> None:
    assert needless(listed(done), today) == []


def test_checkpoints_of_finished_runs_and_what_nothing_reads_go(
    done: Session, listed: Listed
) -> None:
    student, root = folder_of(done, "kd"), done.workspace.root
    for name in (CHECKPOINT, "checkpoint.pt"):
        (student / name).write_bytes(bytes(1000))
    (root / "0123456789abcdef").mkdir()
    found = needless(listed(done), today)
    assert {(one.run.folder.name, one.names) for one in found} == {
        (student.name, (CHECKPOINT,)),
        (student.name, ("checkpoint.pt",)),
        ("0123456789abcdef", ()),
    }
    before = {path for path in root.rglob("*") if path.is_file()}
    assert sum(freed for _, freed in remove(root, found)) == 2000
    after = {path for path in root.rglob("*") if path.is_file()}
    assert before - after == {student / CHECKPOINT, student / "checkpoint.pt"}
    assert not (root / "0123456789abcdef").exists()
    assert needless(listed(done), today) == []


def test_a_half_trained_run_goes_when_it_is_stale(halfway: Session, listed: Listed) -> None:
    [one] = needless(listed(halfway), lambda spec: "recipe version")
    assert one.names == one.run.checkpoints
    assert "recipe version" in one.why


def test_a_run_that_somebody_trains_is_left_alone(done: Session, listed: Listed) -> None:
    student, root = folder_of(done, "kd"), done.workspace.root
    (student / CHECKPOINT).write_bytes(bytes(1000))
    seen_before = listed(done)
    claims = Claims(lambda name: root / name)
    assert claims.take(student.name, "someone")
    try:
        assert needless(listed(done), today) == []
        # It was claimed after it was looked at.
        assert [freed for _, freed in remove(root, needless(seen_before, today))] == [0]
        assert (student / CHECKPOINT).exists()
        assert claims.holds(student.name)
    finally:
        claims.close()


def test_nothing_is_removed_through_a_link(done: Session, listed: Listed, tmp_path: Path) -> None:
    student, root = folder_of(done, "kd"), done.workspace.root
    (student / CHECKPOINT).write_bytes(bytes(1000))
    found = needless(listed(done), today)
    moved = tmp_path / "moved"
    shutil.move(student, moved)
    student.symlink_to(moved)  # between the look and the removal
    assert [freed for _, freed in remove(root, found)] == [0]
    assert (moved / CHECKPOINT).exists()
    student.unlink()
    shutil.move(moved, student)
    (student / CHECKPOINT).rename(tmp_path / "mine")
    (student / CHECKPOINT).symlink_to(tmp_path / "mine")
    assert [freed for _, freed in remove(root, found)] == [0]
    assert (tmp_path / "mine").exists()


def test_weights_stay_where_an_open_cell_builds_on_them(
    done: Session, session: Make, listed: Listed
) -> None:
    every = {run.folder.name for run in listed(done)}

    def without(made: Session) -> set[str]:
        found = needless(listed(made), today, *open_cells(made.plan()))
        return {one.run.folder.name for one in found if one.why == NEEDLESS}

    assert without(done) == every  # no cell of this choice is open
    teacher = folder_of(done, "resnet14 vanilla").name
    assert without(session("kd", "crd")) == every - {teacher}


def test_weights_stay_where_a_half_trained_run_builds_on_them(
    done: Session, session: Make, listed: Listed
) -> None:
    other = next(run for run in session("crd").runs().values() if "crd" in run.label)
    done.workspace.folders.keep_spec(other.spec)  # of another choice
    (done.workspace.folder(other.identity) / CHECKPOINT).write_bytes(bytes(10))
    found = needless(listed(done), today, *open_cells(done.plan()))
    assert [one.run.folder for one in found] == [folder_of(done, "kd")]
