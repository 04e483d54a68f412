"""What ``kdbench speed`` measures of loaders and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from numpy.typing import NDArray

from benchmark.data.kept.pixels import keep_pixels
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.events import Listener
from benchmark.matrix.plan import Cell, cells_of
from benchmark.matrix.request import Request, choice_of
from benchmark.recipe.discovery import load_recipes
from benchmark.records.speed import Peak
from benchmark.work.fitting import Fitting
from benchmark.work.speed import Bench, measuring
from benchmark.work.speed.bench import LOADER, UNCACHED
from benchmark.work.speed.measuring import Session


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


@pytest.fixture
def cells(card_folder: Path) -> list[Cell]:
    request = Request(datasets=["tiny"], recipes=["vanilla", "kd"], seeds="1", paths=[card_folder])
    return cells_of(choice_of(request), load_recipes([card_folder]), Fitting().refusal)[0]


def test_the_loader_is_measured_with_and_without_decoding(
    tiny: DataSet, tmp_path: Path, accelerator: Accelerator, cells: list[Cell]
) -> None:
    photos = Tall(np.asarray(tiny.train.images))
    images = keep_pixels(
        photos, image_size=32, folder=tmp_path / "x.images", title="tall", listener=Listener()
    )
    data = replace(tiny, train=ImageSplit(images, tiny.train.labels))
    tasks = Bench(data, load_recipes([]), accelerator, seconds=0.01).loaders(cells[0].run)
    assert set(tasks) == {LOADER, UNCACHED}
    assert all(task.step() == 16 for task in tasks.values())
    assert all(task.ahead > 0 for task in tasks.values())  # worker processes


def test_the_resident_loader_decodes_nothing(
    tiny: DataSet, accelerator: Accelerator, cells: list[Cell]
) -> None:
    [task] = Bench(tiny, load_recipes([]), accelerator, seconds=0.01).loaders(cells[0].run).values()
    assert task.step() == 16  # never the last, partial batch
    assert {task.step() for _ in range(5)} == {16}
    assert task.ahead == 0


def test_learners_are_measured_as_one_group(
    tiny: DataSet, accelerator: Accelerator, cells: list[Cell]
) -> None:
    bench = Bench(tiny, load_recipes([]), accelerator, seconds=0.01)
    assert bench.learners([cell.run for cell in cells]) > 0


def test_the_gain_of_a_group_is_taken_round_by_round(
    tiny: DataSet, accelerator: Accelerator, cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is half as fast for a while changes no ratio."""
    rates = {
        "recipe vanilla": [200.0, 100.0, 200.0],
        "recipe kd": [200.0, 100.0, 200.0],
        "group": [150.0, 75.0, 160.0],
        "teacher": [1.0],
        LOADER: [1.0],
    }
    peak = Peak(fp32_gflops=1.0, bf16_gflops=1.0, memory_gb_per_s=1.0)
    bench = Bench(tiny, load_recipes([]), accelerator, seconds=0.01)
    monkeypatch.setattr(measuring, "peak_of", lambda device: peak)

    def rounds(tasks: dict[str, object], then: object) -> tuple[dict[str, list[float]], list[str]]:
        assert set(tasks) == set(rates)
        return rates, []

    monkeypatch.setattr(bench.clock, "rounds", rounds)
    group = Session(bench, cells).group()
    assert group.recipes == ("vanilla", "kd")
    assert group.speedup_over_apart == pytest.approx(1.5)
    assert group.lowest_speedup == pytest.approx(1.5)
    assert group.highest_speedup == pytest.approx(1.6)
