"""What a check finds in real files: counts, sizes, and every image that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.data.look.inspection import inspect, sheet
from benchmark.data.opening import open_data
from benchmark.data.splits import DataSet
from tests.support.miniatures import official, write_cub


@pytest.fixture
def birds(tmp_path: Path) -> DataSet:
    write_cub(tmp_path / "data" / "CUB_200_2011")
    return open_data(official("cub"), tmp_path / "data", tmp_path / "cache")


def test_counts_and_sizes(birds: DataSet) -> None:
    seen: list[int] = []
    report = inspect(birds, advance=seen.append)
    assert report.problems == []
    train, test = report.splits["train"], report.splits["test"]
    assert (train.images, train.per_class) == (9, (3, 3, 3))
    assert (test.images, test.per_class) == (6, (2, 2, 2))
    assert train.sizes == ((20, 24), (21, 25), (22, 26))
    assert sum(seen) == 15
    told = report.as_json()["splits"]["train"]
    assert (told["fewest_of_a_class"], told["most_of_a_class"], told["broken"]) == (3, 3, 0)


def test_every_broken_image_is_named_and_left_out_of_the_picture(
    birds: DataSet, tmp_path: Path
) -> None:
    files = sorted((tmp_path / "data").rglob("*.jpg"))
    for file in (files[0], files[1], files[-1]):
        file.write_bytes(file.read_bytes()[:60])
    report = inspect(birds)
    assert report.splits["train"].images == 9
    assert len(report.splits["train"].broken) == 2
    assert len(report.splits["test"].broken) == 1
    assert len(report.problems) == 3
    for file, problem in zip((files[0], files[1], files[-1]), report.problems, strict=True):
        assert file.name in problem
    assert sheet(birds).size == sheet(birds, columns=8).size


def test_images_that_lie_as_pixels_are_looked_at_too(tiny: DataSet) -> None:
    report = inspect(tiny)
    assert report.splits["train"].sizes == ((32, 32),) * 3
    assert report.problems == []
    picture = sheet(tiny, rows=2, columns=3)
    assert picture.size[1] < sheet(tiny).size[1]


def test_a_class_without_an_image_is_a_problem(tiny: DataSet) -> None:
    import dataclasses

    import torch

    kept = torch.where(tiny.test.labels != 2)[0]
    report = inspect(dataclasses.replace(tiny, test=tiny.test.select(kept)))
    [problem] = report.problems
    assert "split 'test' has no image of 1 of the classes" in problem
    assert tiny.class_names[2] in problem
