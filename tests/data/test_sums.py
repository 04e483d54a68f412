"""Files of a user's: what they held at first is remembered, and another content is named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import sums as module
from benchmark.data.opening import load_data, open_data
from benchmark.data.sums import Sums
from benchmark.errors import DataError
from tests.support.listeners import Noting
from tests.support.miniatures import make_card as make_miniature
from tests.support.miniatures import official, put, write_cub, write_image_folder
from tests.support.small_pictures import Mosaics, as_file, write_shards


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [put(tmp_path / "data" / f"{number}.jpg", f"image {number}") for number in range(5)]


@pytest.fixture
def sums(tmp_path: Path) -> Sums:
    return Sums(tmp_path / "cache" / "x.sums", Noting())


def flip(path: Path, place: int = -3, *, quietly: bool = False) -> None:
    """Change one bit, with or without the time of the last change."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    times = (status.st_atime_ns, status.st_mtime_ns + (0 if quietly else 10**9))
    os.utime(path, ns=times)


def test_a_changed_file_is_named(files: list[Path], sums: Sums) -> None:
    sums.compare(files)
    sums.compare(files)
    flip(files[3])
    for _ in range(2):  # an error is no first reading
        with pytest.raises(DataError, match=rf"1 of the files .*: {files[3]}\.") as caught:
            sums.compare(files)
        assert str(sums.path) in str(caught.value)


def test_what_only_looks_changed_is_read_once(
    files: list[Path], sums: Sums, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums.compare(files)
    os.utime(files[0], (1, 1))
    sums.compare(files)
    monkeypatch.setattr(module, "file_digest", None)
    sums.compare(files)


def test_new_and_missing_files_are_no_damage(files: list[Path], sums: Sums) -> None:
    sums.compare(files[:3])
    sums.compare(files)
    sums.compare(files[2:])
    flip(files[3])  # which came second, and is known all the same
    with pytest.raises(DataError, match=str(files[3])):
        sums.compare(files)


def test_a_change_that_hides_its_time_is_found_by_looking_at_all(
    files: list[Path], sums: Sums, tmp_path: Path
) -> None:
    sums.compare(files)
    flip(files[2], quietly=True)
    sums.compare(files)
    with pytest.raises(DataError, match=str(files[2])):
        Sums(sums.path, Noting(), thorough=True).compare(files)


def test_a_damaged_list_is_told_and_made_anew(files: list[Path], sums: Sums) -> None:
    sums.compare(files)
    content = sums.path.read_bytes()
    for place in range(0, len(content), 9):
        changed = bytearray(content)
        changed[place] ^= 1
        sums.path.write_bytes(changed)
        heard = Noting()
        Sums(sums.path, heard).compare(files)
        assert any("is damaged" in note for note in heard.notes)
        assert sums.path.read_bytes() == content


def test_the_hubs_own_name_of_a_file_is_its_promise(sums: Sums, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"shard").hexdigest()
    blob = put(tmp_path / "blobs" / digest, b"shard")
    (tmp_path / "train.parquet").symlink_to(blob)
    sums.compare([tmp_path / "train.parquet"])
    sums.path.unlink()
    flip(blob)
    with pytest.raises(DataError, match=r"train\.parquet"):
        sums.compare([tmp_path / "train.parquet"])


# Whole data sets


@pytest.mark.parametrize("mixed", [False, True])
def test_every_flipped_shard_is_noticed(
    make_card: Callable[..., object], tmp_path: Path, train: Mosaics, test: Mosaics, mixed: bool
) -> None:
    """Of JPEG files, most flipped bits are other pixels and no error."""
    card = make_card(source={"mixed_sizes": mixed})
    for split, part in (("train", train), ("test", test)):
        jpegs = [as_file(image, "JPEG") for image in part.images]
        write_shards(tmp_path / "trees", split, jpegs, part.labels)
    load_data(card, tmp_path, tmp_path / "cache")  # type: ignore[arg-type]
    shard = tmp_path / "trees" / "train-00000-of-00001.parquet"
    content = shard.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 40).tolist():
        flip(shard, place)
        with pytest.raises(DataError, match="train-00000"):
            load_data(card, tmp_path, tmp_path / "cache")  # type: ignore[arg-type]
        shard.write_bytes(content)


def test_a_flipped_image_and_a_flipped_label_are_noticed(tmp_path: Path) -> None:
    write_cub(tmp_path / "CUB_200_2011")
    load_data(official("cub"), tmp_path, tmp_path / "cache")
    (image, *_) = (tmp_path / "CUB_200_2011" / "images").rglob("*.jpg")
    labels = tmp_path / "CUB_200_2011" / "image_class_labels.txt"
    for path in (image, labels):
        content = path.read_bytes()
        path.write_bytes(
            content.replace(b" 1\n", b" 2\n", 1) if path is labels else content[:-1] + b"?"
        )
        with pytest.raises(DataError, match=path.name):
            load_data(official("cub"), tmp_path, tmp_path / "cache")
        path.write_bytes(content)
    load_data(official("cub"), tmp_path, tmp_path / "cache")


def test_one_who_raises_the_revision_wants_other_images(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "birds")
    source = {"kind": "folder", "layout": "image_folder", "folder": str(tmp_path / "birds")}
    open_data(make_miniature(source), None, tmp_path / "cache")
    (image, *_) = (tmp_path / "birds").rglob("*.jpg")
    flip(image)
    with pytest.raises(DataError, match=image.name):
        open_data(make_miniature(source), None, tmp_path / "cache")
    open_data(make_miniature(source | {"revision": "2"}), None, tmp_path / "cache")


def test_a_folder_that_is_a_link_is_read_and_says_where_it_leads(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "disk" / "birds")
    (tmp_path / "birds").symlink_to(tmp_path / "disk" / "birds")
    source = {"kind": "folder", "layout": "image_folder", "folder": str(tmp_path / "birds")}
    data = open_data(make_miniature(source), None, tmp_path / "cache")
    assert data.origin == f"images in {tmp_path / 'birds'} (which is {tmp_path / 'disk' / 'birds'})"
