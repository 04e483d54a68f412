"""A group is trained from its description alone, here or in another process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.errors import TrainingError
from benchmark.events import Listener
from benchmark.matrix.run import Run
from benchmark.training.ending import Failed, Finished, Stopped
from benchmark.training.halt import Halt
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.place import Place
from benchmark.work.train import GroupSpec, train_group
from tests.support.sessions import Make

ELSEWHERE = """
import pickle, sys
from pathlib import Path
from benchmark.events import Listener
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.accelerator import make_accelerator
from benchmark.work.place import Place
from benchmark.work.train import train_group
import torch

torch.set_num_threads(1)
group = pickle.loads(Path(sys.argv[1]).read_bytes())
place = Place(make_accelerator("fp32"), Workspace(Path(sys.argv[2])), None, Path(sys.argv[3]))
print(*[ending.metrics.model_dump_json() for ending in train_group(group, place, Listener())])
"""


def teachers(session: Make, *recipes: str) -> list[Run]:
    """Runs that build on no other."""
    runs = session(*recipes).runs().values()
    return [run for run in runs if isinstance(run, Run) and not run.roles]


@pytest.fixture
def place(accelerator: Accelerator, tmp_path: Path, cache_dir: Path) -> Place:
    return Place(accelerator, Workspace(tmp_path / "here"), None, cache_dir)


def test_a_description_says_all_that_is_needed_and_travels(
    session: Make, card_folder: Path, tmp_path: Path, place: Place, cache_dir: Path
) -> None:
    runs = teachers(session, "vanilla", "kd")
    group = GroupSpec.of(runs, teachers={}, paths=(card_folder,))
    assert len(runs) == 2
    assert len(pickle.dumps(group)) < 20_000

    here = train_group(group, place, Listener())
    (tmp_path / "group").write_bytes(pickle.dumps(group))
    words = [str(tmp_path / "group"), str(tmp_path / "there"), str(cache_dir)]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(isinstance(ending, Finished) for ending in here)
    metrics = [e.metrics.model_dump_json() for e in here if isinstance(e, Finished)]
    assert done.stdout.split() == metrics


def test_other_recipes_than_those_of_the_plan_are_refused(
    session: Make, card_folder: Path, place: Place
) -> None:
    group = GroupSpec.of(teachers(session, "kd"), teachers={}, paths=(card_folder,))
    with pytest.raises(TrainingError, match="another run here than where it was planned"):
        train_group(replace(group, identities=("0" * 64,)), place, Listener())


def test_time_that_is_up_is_an_ending(session: Make, card_folder: Path, place: Place) -> None:
    group = GroupSpec.of(teachers(session, "kd"), teachers={}, paths=(card_folder,))
    place.halt = Halt(deadline=0.0)
    assert train_group(group, place, Listener()) == [Stopped(epochs=1, of=2)]


def test_a_fault_of_the_group_leaves_members_their_own_endings(
    session: Make,
    card_folder: Path,
    tmp_path: Path,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "wild.py").write_text(
        '"""Runs away at once."""\n'
        "from benchmark import register\n"
        "from .vanilla import Vanilla\n"
        "@register('wild', family='alone')\n"
        "class Wild(Vanilla):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        return {'l': student.logits.mean() / 0}\n"
    )
    paths = (card_folder, tmp_path / "more")
    made = session("wild", "vanilla", paths=paths[1:], protocol="longer")
    runs = [cell.run for cell in made.cells]
    group = GroupSpec.of(runs, teachers={}, paths=paths)
    whole = ResidentLoader.epoch

    def epoch(self: ResidentLoader, number: int, *, first: int = 0) -> Iterator[LoadedBatch]:
        if number == 1:  # the second one, in which no member can be blamed
            raise OSError("the disk is gone")
        return whole(self, number, first=first)

    monkeypatch.setattr(ResidentLoader, "epoch", epoch)
    wild, vanilla = train_group(group, place, Listener())
    assert isinstance(wild, Failed)
    assert isinstance(vanilla, Failed)
    assert (wild.status, wild.failure.epoch) == ("diverged", 1)
    assert (vanilla.status, vanilla.failure.message) == ("failed", "the disk is gone")
