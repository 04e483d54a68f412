"""Images of one size are decoded once, by one of those who want them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cards.card import Card
from benchmark.cards.fields import SPLITS
from benchmark.data.found import Contents
from benchmark.data.kept.decoded import keep_decoded
from benchmark.data.opening import load_data
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError
from tests.support.listeners import Noting
from tests.support.small_pictures import CLASSES, Mosaics, as_file, write_shards

MakeCard = Callable[..., Card]


def assert_holds(data: DataSet, train: Mosaics, test: Mosaics) -> None:
    for split, pictures in ((data.train, train), (data.test, test)):
        np.testing.assert_array_equal(np.asarray(split.images), pictures.images)
        np.testing.assert_array_equal(split.labels.numpy(), pictures.labels)


def kept_files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.safetensors"))


def test_a_second_start_reads_what_the_first_kept(
    card: Card, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_data(card, data_dir, tmp_path / "cache")
    monkeypatch.setattr("benchmark.data.sources.parquet.decode", None)
    second = load_data(card, data_dir, tmp_path / "cache")
    assert isinstance(first.train.images, torch.Tensor)
    assert isinstance(second.train.images, torch.Tensor)
    assert torch.equal(first.train.images, second.train.images)
    assert second.class_names == first.class_names
    assert len(kept_files(tmp_path / "cache")) == 1
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_changed_files_are_refused_until_that_is_wanted(
    card: Card, data_dir: Path, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    load_data(card, data_dir, tmp_path / "cache")
    swapped = Mosaics(train.images[::-1].copy(), train.labels)
    files = [as_file(image) for image in swapped.images]
    write_shards(data_dir / "trees", "train", files, train.labels, shards=3)
    with pytest.raises(DataError, match="3 of the files hold something else than when they were"):
        load_data(card, data_dir, tmp_path / "cache")
    (sums,) = (tmp_path / "cache").rglob("*.sums")
    sums.unlink()
    assert_holds(load_data(card, data_dir, tmp_path / "cache"), swapped, test)


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "foreign"])
def test_a_damaged_cache_is_made_anew(
    card: Card,
    data_dir: Path,
    tmp_path: Path,
    train: Mosaics,
    test: Mosaics,
    damage: str,
) -> None:
    load_data(card, data_dir, tmp_path / "cache")
    (path,) = kept_files(tmp_path / "cache")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    damaged = {"flipped": content, "short": content[:-9], "empty": b"", "foreign": b"PK" * 99}
    path.write_bytes(damaged[damage])
    assert_holds(load_data(card, data_dir, tmp_path / "cache"), train, test)


def test_every_flipped_byte_is_noticed(
    card: Card, data_dir: Path, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    load_data(card, data_dir, tmp_path / "cache")
    (path,) = kept_files(tmp_path / "cache")
    content = path.read_bytes()
    heard = 0
    for place in [*range(0, 700, 7), *range(700, len(content), 411)]:
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        listener = Noting()
        data = load_data(card, data_dir, tmp_path / "cache", listener=listener)
        assert_holds(data, train, test)
        assert data.class_names == CLASSES
        heard += any(f"{path} is damaged" in note for note in listener.notes)
    assert heard > 90


def test_a_file_that_is_cut_while_it_is_used_changes_nothing(
    card: Card, data_dir: Path, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    load_data(card, data_dir, tmp_path / "cache")
    data = load_data(card, data_dir, tmp_path / "cache")
    (path,) = kept_files(tmp_path / "cache")
    os.truncate(path, 100)  # of a mapped file, the process would end here
    assert_holds(data, train, test)


def test_only_one_of_two_makes_what_both_want(tmp_path: Path) -> None:
    made = []

    def make() -> Contents:
        made.append(threading.get_ident())
        images, labels = torch.zeros(2, 1, 1, 3, dtype=torch.uint8), torch.arange(2)
        parts = ImageSplit(images, labels), ImageSplit(images + 1, labels + 1)
        return Contents(dict(zip(SPLITS, parts, strict=True)))

    threads = [
        threading.Thread(target=keep_decoded, args=(tmp_path / "x.safetensors", make))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_failed_start_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Contents:
        raise DataError("a shard is missing")

    with pytest.raises(DataError, match="a shard is missing"):
        keep_decoded(tmp_path / "x.safetensors", fail)
    assert not kept_files(tmp_path)


def test_a_cache_that_cannot_be_written(card: Card, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match="cannot keep decoded images"):
        load_data(card, data_dir, tmp_path / "cache")


def test_what_is_not_decoded_is_not_kept(tmp_path: Path) -> None:
    split = ImageSplit([], torch.zeros(0).long())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not decoded"):
        keep_decoded(tmp_path / "x.safetensors", lambda: Contents(dict.fromkeys(SPLITS, split)))
