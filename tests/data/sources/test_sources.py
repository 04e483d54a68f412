"""Data sets are read from every layout, kept decoded, and refused when they are not whole."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import hub
from benchmark.cards.card import Card
from benchmark.cards.catalogue import find_card
from benchmark.data.opening import load_data
from benchmark.data.splits import DataSet
from benchmark.errors import DataError
from tests.support.listeners import Noting
from tests.support.small_pictures import (
    CLASSES,
    Mosaics,
    as_file,
    write_archive,
    write_shards,
)

MakeCard = Callable[..., Card]


def assert_holds(data: DataSet, train: Mosaics, test: Mosaics) -> None:
    for split, pictures in ((data.train, train), (data.test, test)):
        assert isinstance(split.images, torch.Tensor)
        np.testing.assert_array_equal(split.images.numpy(), pictures.images)
        np.testing.assert_array_equal(split.labels.numpy(), pictures.labels)
        assert split.labels.dtype == torch.int64


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)


# Where files may lie


@pytest.mark.parametrize("layout", ["trees", "trees/plain", "plain", "."])
def test_shards_are_found_in_every_place(
    card: Card,
    data_dir: Path,
    tmp_path: Path,
    train: Mosaics,
    test: Mosaics,
    layout: str,
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(data_dir / "trees", folder / layout)
    data = load_data(card, folder, tmp_path / "cache")
    assert_holds(data, train, test)
    assert data.class_names == CLASSES
    assert str(folder / layout) in data.origin


@pytest.mark.parametrize("layout", ["trees-python", "trees/trees-python", "."])
def test_the_official_archive_is_read(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics, layout: str
) -> None:
    folder = tmp_path / "data"
    write_archive(folder / layout, train, test)
    data = load_data(card, folder, tmp_path / "cache")
    assert_holds(data, train, test)
    assert data.class_names == CLASSES


def test_a_packed_archive_is_read_without_unpacking(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    write_archive(tmp_path / "made", train, test)
    (tmp_path / "data").mkdir()
    with tarfile.open(tmp_path / "data" / "trees-python.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made", "trees-python")
    assert_holds(load_data(card, tmp_path / "data", tmp_path / "cache"), train, test)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["trees-python.tar.gz"]


def test_the_hub_is_asked_once_for_the_pinned_revision(
    card: Card,
    data_dir: Path,
    tmp_path: Path,
    train: Mosaics,
    test: Mosaics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    asked = []

    def snapshot_download(repository: str, **options: object) -> str:
        asked.append((repository, options["revision"], options["allow_patterns"]))
        (tmp_path / "hub").mkdir()
        shutil.copytree(data_dir / "trees", tmp_path / "hub" / "plain")
        return str(tmp_path / "hub")

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    for _ in range(2):
        assert_holds(load_data(card, None, tmp_path / "cache"), train, test)
    files = ["plain/train-*.parquet", "plain/test-*.parquet"]
    assert asked == [("forest/trees", "0" * 40, files)]


@pytest.mark.usefixtures("unreachable")
def test_without_data_or_connection_one_message_says_what_to_do(card: Card, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        load_data(card, tmp_path / "empty", tmp_path / "cache")
    for part in ("forest/trees", str(tmp_path / "empty"), "hf download", "0" * 40, "--data DIR"):
        assert part in str(caught.value)


def test_shards_without_names_get_numbers(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    for split, part in (("train", train), ("test", test)):
        files = [as_file(image) for image in part.images]
        write_shards(tmp_path / "trees", split, files, part.labels, names=False)
    assert load_data(card, tmp_path, tmp_path / "cache").class_names == ("0", "1", "2", "3")


def test_the_listener_hears_of_the_progress(card: Card, data_dir: Path, tmp_path: Path) -> None:
    listener = Noting()
    load_data(card, data_dir, tmp_path / "cache", listener=listener)
    assert listener.titles == {"comparing files": 4, "decoding Trees": 42}


# What is refused


def expect_error(card: Card, data_dir: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        load_data(card, data_dir, data_dir / "cache")
    for part in parts:
        assert part in str(caught.value)


def test_a_missing_folder(card: Card, tmp_path: Path) -> None:
    expect_error(card, tmp_path / "nowhere", "nowhere", "does not exist", "--data")


def test_an_empty_folder(card: Card, tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    expect_error(card, tmp_path, "found nothing", "train-*.parquet", "trees-python")


def test_a_folder_of_something_else(card: Card, tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "holiday.jpg").touch()
    expect_error(card, tmp_path, "holiday.jpg", "forest/trees")


def test_a_missing_shard(card: Card, data_dir: Path) -> None:
    (data_dir / "trees" / "train-00001-of-00003.parquet").unlink()
    expect_error(
        card,
        data_dir,
        "have train-00000-of-00003.parquet, train-00002-of-00003.parquet",
        "missing train-00001-of-00003.parquet",
    )


def test_two_cuts_of_one_split(card: Card, data_dir: Path) -> None:
    folder = data_dir / "trees"
    shutil.copy(folder / "train-00000-of-00003.parquet", folder / "train-00000-of-00002.parquet")
    expect_error(card, data_dir, "mixes two cuts", "train-00000-of-00002.parquet")


def test_a_missing_split(card: Card, data_dir: Path) -> None:
    (data_dir / "trees" / "test-00000-of-00001.parquet").unlink()
    expect_error(card, data_dir, "no file for split 'test'", "train-00002-of-00003.parquet")


def test_a_shard_cut_short(card: Card, data_dir: Path) -> None:
    path = data_dir / "trees" / "train-00002-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    expect_error(card, data_dir, str(path), "damaged or cut short", "fetch it again")


def test_a_shard_damaged_inside(card: Card, data_dir: Path) -> None:
    path = data_dir / "trees" / "train-00002-of-00003.parquet"
    content = bytearray(path.read_bytes())
    content[4:1000] = bytes(996)
    path.write_bytes(content)
    expect_error(card, data_dir, str(path), "again")


def test_an_image_that_cannot_be_decoded(card: Card, data_dir: Path, train: Mosaics) -> None:
    files = [as_file(image) for image in train.images]
    files[7] = b"no picture"
    shutil.rmtree(data_dir / "trees")
    write_shards(data_dir / "trees", "train", files, train.labels)
    write_shards(data_dir / "trees", "test", files[8:20], train.labels[8:20])
    expect_error(card, data_dir, "train-00000-of-00001.parquet, row 7", "cannot be decoded")


def test_another_number_of_images(make_card: MakeCard, data_dir: Path) -> None:
    more = make_card(splits={"train": 40, "test": 12})
    expect_error(more, data_dir, "'train'", "30 images", "40", "a shard is missing")
    fewer = make_card(splits={"train": 30, "test": 11})
    expect_error(fewer, data_dir, "'test'", "12 images", "11", "too many shards")


def test_another_column(make_card: MakeCard, data_dir: Path) -> None:
    card = make_card(source={"label": "species"})
    expect_error(card, data_dir, "no column 'species'", "img, kind", ".parquet")


def test_another_size(make_card: MakeCard, data_dir: Path) -> None:
    expect_error(make_card(image_size=16), data_dir, "8x8", "image_size = 16", "row 0")


def test_another_number_of_classes(make_card: MakeCard, data_dir: Path) -> None:
    expect_error(make_card(classes=5), data_dir, "4 class names", "classes = 5")


def test_labels_out_of_range(
    card: Card, make_card: MakeCard, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    for split, part in (("train", train), ("test", test)):
        files = [as_file(image) for image in part.images]
        write_shards(tmp_path / "trees", split, files, part.labels * 2, names=False)
    expect_error(card, tmp_path, "labels from 0 to 6", "0 to 3", "split 'train'")


def test_labels_that_count_from_1(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    for split, part in (("train", train), ("test", test)):
        files = [as_file(image) for image in part.images]
        write_shards(tmp_path / "trees", split, files, part.labels + 1, names=False)
    expect_error(card, tmp_path, "labels from 1 to 4", "0 to 3", "count from 1")


def test_a_class_without_an_image_in_one_split(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    for split, part in (("train", train), ("test", test)):
        files = [as_file(image) for image in part.images]
        labels = part.labels if split == "train" else part.labels.clip(0, 2)
        write_shards(tmp_path / "trees", split, files, labels)
    expect_error(card, tmp_path, "split 'test' has no image of class 3 (yew)", "both splits")


def test_an_archive_that_would_run_a_program(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    write_archive(tmp_path / "trees-python", train, test)
    (tmp_path / "trees-python" / "meta").write_bytes(pickle.dumps({"kind_names": Malicious()}))
    expect_error(card, tmp_path, "meta", "posix.mkdir")
    assert not (tmp_path / "executed").exists()


def test_an_archive_without_a_file(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    write_archive(tmp_path / "trees-python", train, test)
    (tmp_path / "trees-python" / "test").unlink()
    expect_error(card, tmp_path, "test", "is missing", "unpack the archive again")


@pytest.mark.parametrize("content", [b"", b"\x80\x02}", pickle.dumps([1]), pickle.dumps({})])
def test_a_damaged_archive(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics, content: bytes
) -> None:
    write_archive(tmp_path / "trees-python", train, test)
    (tmp_path / "trees-python" / "train").write_bytes(content)
    expect_error(card, tmp_path, "trees-python", "'train'")


def test_a_packed_archive_cut_short(
    card: Card, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    write_archive(tmp_path / "made", train, test)
    packed = tmp_path / "data" / "trees-python.tar.gz"
    packed.parent.mkdir()
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(tmp_path / "made", "trees-python")
    packed.write_bytes(packed.read_bytes()[:2000])
    expect_error(card, packed.parent, str(packed), "damaged", "again")


# Other kinds of data


def test_images_of_different_sizes_are_read_one_by_one(
    make_card: MakeCard, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    card = make_card(source={"mixed_sizes": True})
    cut = {"train": [image[: 4 + i % 5] for i, image in enumerate(train.images)]}
    cut["test"] = list(test.images)
    for split, part in (("train", train), ("test", test)):
        files = list(map(as_file, cut[split]))
        write_shards(tmp_path / "trees", split, files, part.labels, shards=2)
    data = load_data(card, tmp_path, tmp_path / "cache")
    assert not isinstance(data.train.images, torch.Tensor)
    assert len(data.train) == len(data.train.images) == 30
    for position in (0, 13, 29):
        np.testing.assert_array_equal(data.train.images[position], cut["train"][position])
    np.testing.assert_array_equal(data.train.labels.numpy(), train.labels)
    part = data.train.select(torch.tensor([5, 3]))
    np.testing.assert_array_equal(part.images[1], cut["train"][3])  # type: ignore[arg-type]


def test_drawn_data_are_drawn_once(
    make_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {
        "kind": "drawn",
        "revision": "1",
        "families": 2,
        "species": 2,
        "train_per_class": 3,
        "test_per_class": 1,
        "seed": 0,
    }
    values = make_card(splits={"train": 12, "test": 4}, image_size=32).model_dump()
    card = Card.model_validate(values | {"source": drawn})
    first = load_data(card, None, tmp_path)
    assert isinstance(first.train.images, torch.Tensor)
    assert first.train.images.shape == (12, 32, 32, 3)
    assert first.train.labels.bincount().tolist() == [3, 3, 3, 3]
    assert len(set(first.class_names)) == 4
    monkeypatch.setattr("benchmark.data.sources.drawn.draw", None)
    second = load_data(card, None, tmp_path)
    assert torch.equal(first.train.images, second.train.images)  # type: ignore[arg-type]


# The real thing

PIXELS = {
    "train": "4e457917601a66aed021f5fa37957b56c6319557c0a8ed5484de3c390af45430",
    "test": "4cb8e5d9309da489bf6b19cc10cd96c3ae6f8daf225380b605aaee4c0d6aee19",
}
LABELS = {
    "train": "8bf4935e7c77a3096270043c6f3b221b6ecb9c63d1a08608e9af66cff17e977a",
    "test": "80031c23f8300724c6fbc588e4bccbe41c6392041782148727bb497b0132c4ad",
}


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif("KDBENCH_DATA" not in os.environ, reason="needs KDBENCH_DATA")
def test_cifar100_is_read_pixel_by_pixel(tmp_path: Path) -> None:
    card = find_card("cifar100", [Path(__file__).parents[3] / "datasets"])
    data = load_data(card, Path(os.environ["KDBENCH_DATA"]), tmp_path)
    for name, split, per_class in (("train", data.train, 500), ("test", data.test, 100)):
        assert isinstance(split.images, torch.Tensor)
        assert set(split.labels.bincount().tolist()) == {per_class}
        assert hashlib.sha256(split.images.numpy().tobytes()).hexdigest() == PIXELS[name]
        assert hashlib.sha256(split.labels.numpy().tobytes()).hexdigest() == LABELS[name]
    assert data.class_names[:3] == ("apple", "aquarium_fish", "baby")
    pixels = data.train.images.double().div(255).flatten(0, 2)  # type: ignore[union-attr]
    mean, std = torch.tensor(card.mean).double(), torch.tensor(card.std).double()
    # The field's deviations differ from the measured ones in the third digit.
    torch.testing.assert_close(pixels.mean(0), mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(pixels.std(0), std, rtol=0, atol=2e-3)
