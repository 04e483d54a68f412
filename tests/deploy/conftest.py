"""Cells with weights that were drawn and not trained: all else is as a training leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from benchmark.launch.session import Session
from benchmark.layouts.catalogue import known_cards
from benchmark.matrix.request import Request
from benchmark.matrix.run import ImportedRun, Run
from benchmark.recipe.discovery import load_recipes
from benchmark.records.history import EpochRow
from benchmark.records.places import place_of
from benchmark.records.schema import Cost, Metrics
from benchmark.training.deployed import deployed_layers, shown
from benchmark.training.ending import Finished
from benchmark.training.job import context_of
from benchmark.work.accelerator import make_accelerator
from benchmark.work.environment import environment
from benchmark.work.rebuilding import Form, Rebuilder, Student, WithRecipe
from benchmark.work.recording import Recorder
from tests.support.sessions import execute

__all__ = ["MakeStudent", "execute", "make_student"]

NAMES = ("Pine finch", "Marsh wren", 'Tit "of Göttingen" | *bold*', "Crow")
COST = Cost(
    parameters=1, macs=2, training_parameters=1, recipe_parameters=0, train_seconds=1.0,
    evaluation_seconds=0.5, group_seconds=1.0, images_per_s=40.0, peak_memory_mb=10.0,
    forwards_per_image=1.0, backwards_per_image=1.0,
)  # fmt: skip
METRICS = Metrics(
    top1=50.0, top5=100.0, mean_per_class=50.0, nll=1.0, ece=3.0, evaluated_on="test", images=24
)


@dataclass(frozen=True)
class Made:
    """A cell in its folders."""

    cell: str
    root: Path
    student: Student

    @property
    def words(self) -> list[str]:
        """The cell and its folders, for a command."""
        return [self.cell, "--runs", str(self.root / "runs"), "--results",
                str(self.root / "results")]  # fmt: skip


MakeStudent = Callable[..., Made]


@pytest.fixture(scope="session")
def make_student(
    card_folder: Path, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path
) -> MakeStudent:
    """A cell by its recipe and pair; each is made once."""
    made: dict[tuple[str, ...], Made] = {}

    def make(
        recipe: str = "kd",
        pair: str = "timm/test_resnet:timm/test_resnet",
        teacher: str = "",
        protocol: str = "quick",
    ) -> Made:
        key = recipe, pair, teacher, protocol
        if key not in made:
            made[key] = _made(*key, tmp_path_factory.mktemp("cell"), card_folder, cache_dir)
        return made[key]

    return make


def _made(
    recipe: str,
    pair: str,
    teacher: str,
    protocol: str,
    root: Path,
    card_folder: Path,
    cache_dir: Path,
) -> Made:
    """A cell; its teacher's weights may come from a file."""
    request = Request(
        datasets=("tiny",), recipes=(recipe,), pairs=(pair,), seeds="1", paths=(card_folder,),
        teachers=(teacher,) if teacher else (), protocol=protocol,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("KDBENCH_CACHE", str(cache_dir))
        session = Session(request, runs=root / "runs", results=root / "results")
        run = session.cells[0].run
    assert isinstance(run, Run)
    recorder = Recorder(session.store, session.workspace)
    here = environment(_accelerator())
    for role in run.roles.values():
        if isinstance(role, ImportedRun):
            recorder.record(role, Finished(METRICS, COST), here)
            role.weights.unlink()
    recorder.record(run, _finished(run), here)
    rebuilder = Rebuilder(
        session.store, session.workspace, known_cards((card_folder,)), load_recipes((card_folder,))
    )
    cell = place_of(run.spec).with_suffix("").as_posix()
    return Made(cell, root, rebuilder.student(cell))


@torch.no_grad()
def _finished(run: Run) -> Finished:
    form = Form(run)
    network = form.network.eval()
    for name, buffer in network.named_buffers():  # as no network starts
        if name.endswith("running_mean"):
            buffer.uniform_(-0.1, 0.1)
    recipe = form.job.recipe
    layers, answers = {}, network
    if list(recipe.settings_model.model_fields) and run.settings.get("form") == "paper":
        recipe.build(context_of(form.job, form.setting, network))
        layers, answers = deployed_layers(recipe), WithRecipe(network, recipe)
    said = answers(shown(run.pictures.shape)).logits
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    rows = (EpochRow(1, {"ce": 1.0}, 1.0, 40.0, top1=50.0, top5=100.0, nll=1.0),)
    return Finished(METRICS, COST, rows, weights, layers=layers, class_names=NAMES, said=said)


def _accelerator() -> Accelerator:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    return make_accelerator("fp32")
