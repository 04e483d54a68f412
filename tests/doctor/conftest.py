"""Surroundings in which a small matrix was trained, to be broken in many ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.doctor.findings import Surroundings
from benchmark.events import Listener
from benchmark.launch.means import Means
from benchmark.launch.session import Session
from benchmark.matrix.request import Request


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, card_folder: Path, cache_dir: Path) -> Path:
    """A folder with ``runs`` and ``results`` of a teacher and a student of the tiny card."""
    from accelerate.state import AcceleratorState

    folder = tmp_path_factory.mktemp("trained")
    request = Request(datasets=("tiny",), recipes=("kd",), seeds="1", paths=(card_folder,))
    session = Session(request, runs=folder / "runs", results=folder / "results")
    AcceleratorState._reset_state(reset_partial_state=True)
    assert session.run(Means(cache_dir), Listener()).exit_code == 0
    return folder


@pytest.fixture
def around(
    trained: Path, card_folder: Path, cache_dir: Path, tmp_path: Path, hub_folder: Path
) -> Surroundings:
    """A copy of it, that a test may break."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return Surroundings(tmp_path / "runs", tmp_path / "results", cache_dir, paths=(card_folder,))


@pytest.fixture
def hub_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "hub"
