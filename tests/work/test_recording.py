"""An ending becomes one valid record, and leaves what others build on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from benchmark.matrix.run import Run
from benchmark.records.history import EpochRow
from benchmark.records.schema import Cost, Environment, Metrics
from benchmark.training.ending import Failed, Finished, diverged, failed
from benchmark.training.keeping.checkpoint_files import Checkpoint
from benchmark.training.keeping.engine import engine_of
from benchmark.training.keeping.stand import Stand
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.environment import environment
from benchmark.work.recording import Recorder
from tests.support.sessions import Make

COST = Cost(
    parameters=1, macs=2, training_parameters=1, recipe_parameters=0, train_seconds=1.0,
    evaluation_seconds=0.5, group_seconds=1.0, images_per_s=40.0, peak_memory_mb=10.0,
    forwards_per_image=1.0, backwards_per_image=1.0,
)  # fmt: skip


def finished(top1: float = 50.0) -> Finished:
    metrics = Metrics(
        top1=top1, top5=100.0, mean_per_class=top1, nll=1.0, ece=3.0, evaluated_on="test", images=24
    )
    rows = (
        EpochRow(1, {"ce": 2.0}, 1.0, 40.0, top1=60.0, top5=100.0, nll=1.1),
        EpochRow(2, {"ce": 1.0}, 1.0, 40.0, top1=top1, top5=100.0, nll=1.0),
    )
    return Finished(metrics, COST, rows, {"w": torch.ones(2)})


@pytest.fixture
def run(session: Make) -> Run:
    return session("vanilla").cells[0].run


@pytest.fixture
def recorder(session: Make, accelerator: Accelerator, tmp_path: Path) -> Recorder:
    made = session("vanilla")
    return Recorder(made.store, made.workspace)


@pytest.fixture
def here(accelerator: Accelerator) -> Environment:
    return environment(accelerator)


def test_a_finished_run_has_a_record_its_history_and_its_weights(
    run: Run, recorder: Recorder, here: Environment, accelerator: Accelerator
) -> None:
    checkpoint = Checkpoint(Stand(1), "s", engine_of(accelerator), {})
    recorder.workspace.checkpoints.write(run.identity, checkpoint)
    recorder.record(run, finished(), here)
    record = recorder.store.find(run.spec)
    assert record is not None
    assert record.status == "ok"
    assert record.diagnostics is not None
    assert (record.diagnostics.best_top1, record.diagnostics.best_epoch) == (60.0, 1)
    assert record.cost == COST
    assert recorder.store.history_path(run.spec).read_text().count("\n") == 3
    assert recorder.accuracies == {run.identity: 50.0}
    kept = recorder.workspace.load_weights(run.identity, record.weights)
    assert torch.equal(kept.tensors["w"], torch.ones(2))
    assert (kept.digest, kept.top1) == (record.weights, 50.0)
    assert recorder.workspace.checkpoints.newest(run.identity) is None


@pytest.mark.parametrize(
    ("ending", "continues"),
    [
        (diverged(2, "loss term ce is not finite"), False),
        (failed(ZeroDivisionError("one too many"), 1), True),
    ],
)
def test_a_failed_run_has_a_record_with_its_error_and_no_weights(
    run: Run,
    recorder: Recorder,
    ending: Failed,
    continues: bool,
    here: Environment,
    accelerator: Accelerator,
) -> None:
    checkpoint = Checkpoint(Stand(1), "s", engine_of(accelerator), {})
    recorder.workspace.checkpoints.write(run.identity, checkpoint)
    recorder.record(run, ending, here)
    record = recorder.store.find(run.spec)
    assert record is not None
    assert (record.status, record.error) == (ending.status, ending.failure)
    assert record.metrics is None
    assert record.weights is None
    assert not list(recorder.workspace.folder(run.identity).glob("weights*"))
    assert (recorder.workspace.checkpoints.newest(run.identity) is not None) is continues


def test_weights_that_were_trained_again_do_not_replace_the_record(
    run: Run, recorder: Recorder, here: Environment
) -> None:
    recorder.record(run, finished(), here)
    shutil.rmtree(recorder.workspace.folder(run.identity))
    recorder.record(run, finished(top1=40.0), here)
    record = recorder.store.find(run.spec)
    assert record is not None
    assert record.metrics is not None
    assert record.metrics.top1 == 50.0
    assert recorder.accuracies == {run.identity: 40.0}, "students note what taught them"
    kept = Workspace(recorder.workspace.root).load_weights(run.identity, record.weights)
    assert kept.top1 == 40.0
