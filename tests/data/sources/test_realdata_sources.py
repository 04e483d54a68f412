"""The official files themselves, where KDBENCH_DATA names a folder that has them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmark.cards.catalogue import find_card
from benchmark.data.opening import load_data
from benchmark.errors import DataError
from benchmark.layouts.cars import _rows_of_csv, _rows_of_mat
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.layouts.listing import Listing, Places

SHIPPED = Path(__file__).parents[3] / "datasets"
pytestmark = pytest.mark.realdata


@pytest.fixture
def data() -> Path:
    return Path(os.environ["KDBENCH_DATA"])


@pytest.fixture
def annotations(data: Path) -> Path:
    if not (data / "annotations").is_dir():
        pytest.skip("no annotations there")
    return data / "annotations"


def counts(listing: Listing, split: str) -> list[int]:
    labels = [label for _, label in listing.items[split]]  # type: ignore[index]
    return np.bincount(labels, minlength=len(listing.class_names)).tolist()


def test_the_part_of_cub_is_what_its_card_says(data: Path, tmp_path: Path) -> None:
    if not (data / "cub50").is_dir():
        pytest.skip("no cub50 there")
    loaded = load_data(find_card("cub50", [SHIPPED]), data, tmp_path)
    assert (len(loaded.train), len(loaded.test)) == (1500, 1389)
    assert loaded.class_names[0] == "001.Black_footed_Albatross"
    assert loaded.class_names[49] == "050.Eared_Grebe"
    assert set(loaded.train.labels.bincount().tolist()) == {30}
    image = loaded.train.images[0]
    assert image.shape[2] == 3
    assert min(image.shape[:2]) >= 100


def test_the_part_is_not_taken_for_the_whole(data: Path, tmp_path: Path) -> None:
    if not (data / "cub50").is_dir():
        pytest.skip("no cub50 there")
    card = find_card("cub200", [SHIPPED])
    with pytest.raises(DataError, match="50 class names, the card says classes = 200"):
        load_data(card, data / "cub50", tmp_path)


@pytest.mark.parametrize(
    ("level", "classes"), [("variant", 100), ("family", 70), ("manufacturer", 30)]
)
def test_the_official_lists_of_aircraft(
    annotations: Path, tmp_path: Path, level: str, classes: int
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (annotations / "aircraft").glob("*.txt"):
        (folder / path.name).symlink_to(path)
    (folder / "images").mkdir()
    listing = LayoutCatalogue().get("aircraft").read(Places((tmp_path,)), {"level": level})
    assert len(listing.class_names) == classes
    assert len(listing.items["train"]) == 6667
    assert len(listing.items["test"]) == 3333
    if level == "variant":
        assert set(counts(listing, "train")) == {66, 67}
        assert set(counts(listing, "test")) == {33, 34}


def test_the_official_devkit_of_cars(annotations: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"cars_{split}").mkdir()
    for path in (annotations / "cars").iterdir():
        (tmp_path / path.name).symlink_to(path)
    listing = LayoutCatalogue().get("cars").read(Places((tmp_path,)), {})
    assert len(listing.class_names) == 196
    assert listing.class_names[0] == "AM General Hummer SUV 2000"
    assert len(listing.items["train"]) == 8144
    assert len(listing.items["test"]) == 8041
    assert (min(counts(listing, "train")), max(counts(listing, "train"))) == (24, 68)


def test_both_forms_of_the_devkit_agree(annotations: Path, tmp_path: Path) -> None:
    folder = annotations / "cars"
    tables = _rows_of_csv(folder / "anno_train.csv")
    assert tables == _rows_of_mat(folder / "cars_train_annos.mat")
    for split in ("train", "test"):
        (tmp_path / f"cars_{split}").mkdir()
    for name in ("names.csv", "anno_train.csv", "anno_test.csv"):
        (tmp_path / name).symlink_to(folder / name)
    as_csv = LayoutCatalogue().get("cars").read(Places((tmp_path,)), {})
    (tmp_path / "cars_meta.mat").symlink_to(folder / "cars_meta.mat")
    assert (
        LayoutCatalogue().get("cars").read(Places((tmp_path,)), {}).class_names
        == as_csv.class_names
    )
