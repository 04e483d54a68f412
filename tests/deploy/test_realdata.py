"""A student distilled on photographs is exported, and gives its recorded accuracy elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.deploy.export import export
from benchmark.launch.session import Session
from benchmark.launch.summary import Summary
from benchmark.layouts.catalogue import known_cards
from benchmark.matrix.request import Request
from benchmark.recipe.discovery import load_recipes
from benchmark.work.rebuilding import Rebuilder

STRANGER = Path(__file__).with_name("stranger.py")


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_student_of_cub50_is_as_good_where_there_is_no_kdbench(
    execute: Callable[..., Summary], tmp_path: Path
) -> None:
    """Every form on all 1,389 test images; as it is read there, by the record's six digits."""
    data = Path(os.environ["KDBENCH_DATA"])
    request = Request(
        datasets=("cub50",),
        pairs=("timm/resnet14t:timm/resnet10t",),
        recipes=("kd", "th-kd[form=paper]"),
        seeds="1",
        protocol="scratch[epochs=2,image_size=64]",
    )
    session = Session(request, runs=tmp_path / "runs", results=tmp_path / "results", retry=False)
    execute(session, data_dir=data)
    rebuilder = Rebuilder(session.store, session.workspace, known_cards(()), load_recipes(()))
    for cell, forms in zip(
        session.cells, (["timm", "torch-export", "onnx"], ["torch-export", "onnx"]), strict=True
    ):
        student = rebuilder.student(str(session.store.path_of(cell.run.spec)))
        assert student.class_names[0] == "001.Black_footed_Albatross"
        folder = tmp_path / cell.run.recipe.name
        export(student, folder, forms)
        done = subprocess.run(
            [sys.executable, str(STRANGER), str(data / "cub50" / "CUB_200_2011")],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        metrics = student.record.metrics
        assert metrics is not None
        found = json.loads(done.stdout)
        assert list(found) == forms
        for name, said in found.items():
            assert said["images"] == metrics.images, name
            assert said["top1"] == pytest.approx(metrics.top1, abs=0.15), name  # two images
            assert said["nll"] == pytest.approx(metrics.nll, rel=1e-4), name
