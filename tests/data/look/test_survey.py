"""What a folder holds becomes a card that can be loaded as it is."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.cards.catalogue import read_card
from benchmark.data.intake.preparing import Wishes, prepare
from benchmark.data.look.survey import Survey, survey
from benchmark.data.opening import load_data
from benchmark.errors import DataError, ManyFaults, UsageError
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.templates.dataset import write_dataset
from tests.support.miniatures import picture, put, write_csv, write_cub, write_image_folder


def surveyed(folder: Path, layout: str | None = None) -> Survey:
    return survey(prepare(folder, Wishes(layout=layout), layouts=LayoutCatalogue()), "mine")


@pytest.mark.parametrize(
    ("layout", "write"),
    [("image_folder", write_image_folder), ("csv", write_csv), ("cub", write_cub)],
)
def test_a_written_card_loads_what_was_surveyed(
    tmp_path: Path, layout: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "images")
    file, found = write_dataset("my-birds", tmp_path / "images", tmp_path / "cards")
    card = read_card(file)
    data = load_data(card, None, tmp_path / "cache")
    assert (len(data.train), len(data.test)) == (9, 6)
    assert data.class_names == found.images.listing.class_names
    assert found.images.layout == layout
    assert card.title == "My birds"
    assert card.source.fingerprint == found.fingerprint  # type: ignore[union-attr]
    assert card.default_protocol.name == "scratch"
    assert all(len(line) <= 110 for line in file.read_text().splitlines())


def test_mean_and_deviation_are_those_of_the_training_images(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    pixels = [
        np.asarray(Image.open(io.BytesIO(path.read_bytes()))).reshape(-1, 3) / 255
        for path in sorted((tmp_path / "train").rglob("*.jpg"))
    ]
    found = surveyed(tmp_path)
    # Images differ by a few pixels in size, and each counts alike.
    mean = np.mean([part.mean(0) for part in pixels], 0)
    squares = np.mean([(part**2).mean(0) for part in pixels], 0)
    np.testing.assert_allclose(found.mean, mean, atol=1e-4)
    deviation = np.sqrt(np.maximum(squares - mean**2, 0))
    np.testing.assert_allclose(found.std, deviation, atol=1.1e-3)  # blue is the same everywhere
    assert found.fewest == 3


@pytest.mark.parametrize(("edge", "size"), [(20, 32), (64, 64), (130, 112), (300, 224)])
def test_the_image_size_follows_the_images(tmp_path: Path, edge: int, size: int) -> None:
    for split in ("train", "test"):
        for name in ("a", "b"):
            stream = io.BytesIO()
            Image.new("RGB", (edge, 2 * edge)).save(stream, "PNG")
            put(tmp_path / "images" / split / name / "0.png", stream.getvalue())
    file, found = write_dataset("mine", tmp_path / "images", tmp_path)
    assert found.image_size == size
    card = read_card(file)
    assert ("finetune" in card.protocols) == (size >= 112)
    assert card.pairs[0].startswith("timm/") == (size >= 112)


def test_a_folder_that_looks_like_two_layouts(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images")
    write_csv(tmp_path / "images")
    with pytest.raises(DataError, match=r"looks like several: csv, image_folder(.|\n)*--layout"):
        surveyed(tmp_path / "images")
    file, _ = write_dataset("mine", tmp_path / "images", tmp_path, Wishes(layout="csv"))
    assert read_card(file).source.layout == "csv"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="Did you mean 'csv'"):
        surveyed(tmp_path / "images", "cvs")


def test_a_table_of_any_name_is_found(tmp_path: Path) -> None:
    write_csv(tmp_path / "images")
    (tmp_path / "images" / "labels.csv").rename(tmp_path / "images" / "all mine.csv")
    file, _ = write_dataset("mine", tmp_path / "images", tmp_path)
    assert len(load_data(read_card(file), None, tmp_path / "cache").train) == 9


def test_folders_that_hold_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder or table .* Correct --from"):
        surveyed(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"in no known layout(.|\n)*image_folder: train/CLASS"):
        surveyed(tmp_path / "empty")
    write_image_folder(tmp_path / "one")
    for split in ("train", "test"):
        for name in ("birch", "cedar"):
            shutil.rmtree(tmp_path / "one" / split / name)
    with pytest.raises(DataError, match="1 class; there must be two"):
        surveyed(tmp_path / "one")


def test_every_broken_image_is_named_and_no_card_is_written(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images")
    broken = sorted((tmp_path / "images").rglob("*.jpg"))[::4]
    for path in broken:
        path.write_bytes(picture(0, 0)[:300])
    broken[0].write_bytes(b"")
    with pytest.raises(ManyFaults, match="4 of 15 images cannot be read") as caught:
        write_dataset("mine", tmp_path / "images", tmp_path / "cards")
    assert len(caught.value.faults) == len(broken)
    for path in broken:
        assert f"  {path.relative_to(tmp_path / 'images')}: the image cannot be decoded" in str(
            caught.value
        )
    assert not (tmp_path / "cards").exists()
