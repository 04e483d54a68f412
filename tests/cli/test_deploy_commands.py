"""The commands on trained networks in use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.called import Kdbench
from tests.deploy.conftest import MakeStudent, make_student

__all__ = ["make_student"]


@pytest.fixture
def words(make_student: MakeStudent, card_folder: Path) -> list[str]:
    return [*make_student().words, "--path", str(card_folder)]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_network_is_exported_and_where_it_is_told(
    kdbench: Kdbench, words: list[str], tmp_path: Path
) -> None:
    code, out, err = kdbench("export", *words, "--to", "birds")
    assert code == 0, err
    assert 'timm.create_model("local-dir:birds", pretrained=True)' in out
    assert (tmp_path / "birds" / "model.safetensors").is_file()
    code, out, _ = kdbench("export", *words, "--to", "again", "--json")
    told = json.loads(out)
    assert told["formats"]["timm"]["difference"] < 1e-4
    assert told["files"]["model.safetensors"] > 1000
    code, _, err = kdbench("export", *words, "--to", "birds")
    assert code == 2
    assert "not empty" in err
    code, _, err = kdbench("export", *words, "--to", "more", "--push", "nobody")
    assert code == 2
    assert "write USER/NAME" in err


def test_images_are_answered_and_what_is_broken_is_named(
    kdbench: Kdbench, words: list[str], photo: Path
) -> None:
    cell, *rest = words
    code, out, err = kdbench("predict", cell, "photo.png", *rest)
    assert code == 0, err
    assert "photo.png" in out
    assert "Marsh wren" in out
    Path("broken.jpg").write_text("no image")
    code, out, err = kdbench("predict", cell, "broken.jpg", "photo.png", *rest, "--json")
    assert code == 1
    broken, whole = json.loads(out)
    assert "broken.jpg" in broken["error"]
    assert sum(one["probability"] for one in whole["classes"]) == pytest.approx(1, abs=1e-4)
    assert "Left out: broken.jpg" in err


def test_a_cell_without_weights_says_what_to_do(
    kdbench: Kdbench, words: list[str], photo: Path
) -> None:
    cell, *rest = words
    rest[rest.index("--runs") + 1] = "elsewhere"
    code, _, err = kdbench("predict", cell, "photo.png", *rest)
    assert code == 2
    assert "name that folder with --runs" in err


def test_a_network_is_evaluated_on_a_folder(
    kdbench: Kdbench, words: list[str], photo: Path
) -> None:
    cell, *rest = words
    Path("own/Crow").mkdir(parents=True)
    photo.rename("own/Crow/photo.png")
    code, out, err = kdbench("evaluate", cell, "--images", "own", *rest)
    assert code == 0, err
    assert "1 of 4 classes" in out
    Path("own/Crow/broken.png").write_text("no image")
    code, out, err = kdbench("evaluate", cell, "--images", "own", *rest, "--json")
    assert code == 1
    assert json.loads(out)["metrics"]["images"] == 1
    assert "Left out: own/Crow/broken.png" in err


def test_weights_are_evaluated_again_on_the_test_set(kdbench: Kdbench, words: list[str]) -> None:
    """The cell's record is of no training, which is noticed."""
    cell, *rest = words
    code, out, _ = kdbench("evaluate", cell, *rest, "--json")
    told = json.loads(out)
    assert (code, told["holds"], told["how"]) == (1, False, "evaluated again")
    assert told["metrics"]["nll"]["recorded"] == 1.0


def test_latency_stands_beside_accuracy_and_size(kdbench: Kdbench, words: list[str]) -> None:
    cell, *rest = words
    ways = ["--way", "eager", "--batch", "2", "--seconds", "0.01", "--threads", "1"]
    code, out, err = kdbench("latency", cell, *ways, *rest)
    assert code == 0, err
    assert "timm/test_resnet" in out
    assert "1 thread, fp32" in out
    code, out, _ = kdbench("latency", cell, *ways, *rest, "--json")
    told = json.loads(out)
    assert told["conditions"]["threads"] == 1
    assert told["students"][0]["ways"]["eager"]["2"]["median_ms"] > 0
