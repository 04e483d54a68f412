"""A wheel works outside the repository: recipes, cards, suites and templates travel inside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip would put into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_holds_no_top_level_datasets(unpacked: Path) -> None:
    packages = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert packages == {"benchmark", "kdbench.py"}


def test_it_finds_its_own_parts(unpacked: Path, tmp_path: Path) -> None:
    def kdbench(*words: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(unpacked), "KDBENCH_CACHE": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "kdbench", *words],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    recipes = json.loads(kdbench("list", "recipes", "--json"))
    assert {"vanilla", "kd", "crd", "th-kd", "sh-kd"} <= {entry["name"] for entry in recipes}
    assert all(str(unpacked) in entry["path"] for entry in recipes)
    assert json.loads(kdbench("list", "datasets", "--json"))
    assert json.loads(kdbench("list", "suites", "--json"))
    kdbench("new", "recipe", "mine")
    assert (tmp_path / "my_recipes" / "mine.py").exists()
    laws = json.loads(kdbench("check", "recipe", "my_recipes/mine.py", "--json"))["mine"]["laws"]
    assert {law["level"] for law in laws} == {"ok"}
    assert "### th-kd" in kdbench("pages", "--output", "-")
    kdbench("plan", "--dataset", "cifar100", "--pair", "resnet20:resnet8", "--recipe", "kd")
