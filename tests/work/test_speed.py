"""What ``kdbench speed`` measures of data sets that do not fit the resident loader."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from rich.console import Console

from benchmark.data.kept.pixels import keep_pixels
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.events import Listener
from benchmark.recipe.discovery import load_recipes
from benchmark.reports.terminal.listings import speed_table
from benchmark.work import speed
from benchmark.work.speed import Bench


class Tall:
    """Images twice as high as wide."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        return np.tile(self.images[position], (2, 1, 1))

    def select(self, positions: Sequence[int]) -> Tall:
        return Tall(self.images[list(positions)])


def test_the_loader_is_measured_with_and_without_decoding(
    tiny: DataSet, tmp_path: Path, accelerator: Accelerator
) -> None:
    photos = Tall(np.asarray(tiny.train.images))
    images = keep_pixels(
        photos, image_size=32, folder=tmp_path / "x.images", title="tall", listener=Listener()
    )
    data = replace(tiny, train=ImageSplit(images, tiny.train.labels))
    bench = Bench(data, load_recipes([]), accelerator, seconds=0.01)
    cell: Any = SimpleNamespace(run=SimpleNamespace(protocol=tiny.card.default_protocol))
    figures = bench.loader(cell)
    assert set(figures) == {"images_per_s", "uncached_images_per_s", "cache_speedup"}
    assert all(rate > 0 for rate in figures.values())


def test_the_resident_loader_decodes_nothing(tiny: DataSet, accelerator: Accelerator) -> None:
    bench = Bench(tiny, load_recipes([]), accelerator, seconds=0.01)
    cell: Any = SimpleNamespace(run=SimpleNamespace(protocol=tiny.card.default_protocol))
    assert set(bench.loader(cell)) == {"images_per_s"}


def test_the_table_shows_both() -> None:
    figures: dict[str, Any] = {
        "dataset": "trees", "pair": "a:b", "batch_size": 4, "precision": "fp32", "device": "cpu",
        "threads": 1, "recipes": {}, "peak": {"fp32_gflops": 1.0, "bf16_gflops": 1.0},
        "loader": {
            "images_per_s": 963.0, "uncached_images_per_s": 321.0, "cache_speedup": 3.0,
        },
        "teacher": {"images_per_s": 10.0},
        "group": {"recipes": ["kd"], "images_per_s": 9.0, "speedup_over_apart": 1.0},
    }  # fmt: skip
    stream = io.StringIO()
    Console(file=stream, width=100).print(speed_table(figures))
    assert "1/3.0" in stream.getvalue()
    assert "321" in stream.getvalue()


def test_the_peak_is_not_measured_on_sizes_that_would_take_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []
    measure = speed._seconds_of_product

    def noted(a: torch.Tensor) -> float:
        tried.append(len(a))
        return measure(a)

    monkeypatch.setattr(speed, "_seconds_of_product", noted)
    monkeypatch.setattr(speed, "LONG_PRODUCT", 0.0)  # every product is a long one
    assert speed.peak_gflops(torch.device("cpu"), "fp32") > 0
    assert set(tried) == {256}
    monkeypatch.setattr(speed, "LONG_PRODUCT", 1e9)
    monkeypatch.setattr(speed, "MATRIX_SIZES", (8, 16))
    speed.peak_gflops(torch.device("cpu"), "bf16")
    assert set(tried) == {256, 8, 16}
