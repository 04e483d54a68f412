"""A training whose photographs are made ready on the device goes on as any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

from benchmark.cards.transforms import ColorJitter, HorizontalFlip, RandomResizedCrop
from benchmark.data.loaders.choice import PHOTOGRAPHS
from benchmark.data.splits import DataSet
from benchmark.training.job import Job
from tests.training.trained import assert_same, run_until


@pytest.fixture
def coloured(tiny: DataSet) -> DataSet:
    augmentation = (
        RandomResizedCrop(name="random_resized_crop", scale=(0.5, 1.0)),
        HorizontalFlip(name="horizontal_flip"),
        ColorJitter(name="color_jitter", brightness=0.2, saturation=0.2),
    )
    return replace(tiny, pictures=replace(tiny.pictures, augmentation=augmentation))


def test_it_is_said_and_may_be_stopped_at_any_step(
    make_job: Callable[..., Job],
    coloured: DataSet,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PHOTOGRAPHS, "device")
    [whole] = run_until([make_job("vanilla")], coloured, accelerator, tmp_path / "whole")
    assert whole.finished.cost.photographs == "device"
    assert whole.finished.cost.model_dump()["photographs"] == "device"
    folder = tmp_path / "parts"
    run_until([make_job("vanilla")], coloured, accelerator, folder, steps=4)
    [continued] = run_until([make_job("vanilla")], coloured, accelerator, folder)
    assert_same(whole, continued)


def test_workers_are_not_spoken_of(
    make_job: Callable[..., Job], tiny: DataSet, accelerator: Accelerator, tmp_path: Path
) -> None:
    [trained] = run_until([make_job("vanilla")], tiny, accelerator, tmp_path)
    assert "photographs" not in trained.finished.cost.model_dump()
