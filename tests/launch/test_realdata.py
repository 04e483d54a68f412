"""Published weights on the real test set: the whole way from files to a recorded accuracy."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.events import Listener
from benchmark.launch.session import Session
from benchmark.launch.summary import Summary
from benchmark.matrix.request import Request


class Impatient(Listener):
    """Presses Ctrl-C when the teacher is evaluated, so that no student is trained."""

    def run_finished(self, label: str, outcome: str) -> None:
        if "imported" in label:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.realdata
@pytest.mark.slow
def test_published_weights_evaluate_to_their_published_accuracy(
    execute: Callable[..., Summary], tmp_path: Path
) -> None:
    data = Path(os.environ["KDBENCH_DATA"])
    request = Request(
        datasets=("cifar100",),
        pairs=("resnet56:resnet20",),
        recipes=("kd",),
        seeds="1",
        teachers=(str(data / "weights" / "resnet56-cifar100.pt"),),
    )
    session = Session(request, runs=tmp_path / "runs", results=tmp_path / "results", retry=False)
    teacher = session.cells[0].run.roles["teacher"]
    execute(session, listener=Impatient(), data_dir=data)
    record = session.store.find(teacher.spec)
    assert record is not None
    assert record.metrics is not None
    assert record.metrics.top1 == pytest.approx(72.63, abs=0.05)
    assert record.metrics.images == 10_000
