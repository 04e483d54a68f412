"""Official archives under --data, the hub's copy offline, and folders of one's own."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark import hub
from benchmark.cards.card import Card, HubSource
from benchmark.cards.catalogue import read_card
from benchmark.data.loaders.choice import make_loader
from benchmark.data.opening import load_data, open_data
from benchmark.data.sources import unpack
from benchmark.data.sources.unpack import unpacked
from benchmark.data.splits import DataSet
from benchmark.errors import CardError, DataError
from benchmark.layouts.catalogue import LayoutCatalogue
from tests.support.miniatures import (
    BIRDS,
    COPIES,
    TEST,
    TRAIN,
    WRITERS,
    colour,
    hub_source,
    make_card,
    official,
    pack,
    picture,
    put,
    write_cars,
    write_csv,
    write_cub,
    write_image_folder,
)

CUB = official("cub")


def expect(fault: Callable[[], object], *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        fault()
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def assert_is_the_miniature(data: DataSet, classes: int = 3) -> None:
    """Each picture shows the colour of its label."""
    for split, count in ((data.train, TRAIN), (data.test, TEST)):
        assert len(split) == count * classes
        assert split.labels.bincount().tolist() == [count] * classes
        for position, label in enumerate(split.labels.tolist()):
            red = split.images[position].reshape(-1, 3).mean(0)[0]  # type: ignore[union-attr]
            assert abs(red - colour(label, 0)[0]) < 4


# Where official copies may lie


@pytest.mark.parametrize("place", ["", "mini"])
@pytest.mark.parametrize("layout", sorted(COPIES))
def test_an_unpacked_archive_is_read_where_it_lies(tmp_path: Path, layout: str, place: str) -> None:
    folder = tmp_path / "data" / place / str(COPIES[layout]["folder"])
    WRITERS[layout](folder)
    data = load_data(official(layout), tmp_path / "data", tmp_path / "cache")
    assert_is_the_miniature(data)
    assert str(folder) in data.origin
    assert not (tmp_path / "cache" / "unpacked").exists()


@pytest.mark.parametrize("layout", sorted(COPIES))
def test_the_data_folder_may_be_the_archive_itself(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](tmp_path / "data")
    assert_is_the_miniature(load_data(official(layout), tmp_path / "data", tmp_path / "cache"))


@pytest.mark.parametrize("layout", ["cub", "aircraft"])
def test_a_packed_archive_is_unpacked_into_the_cache_once(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / str(COPIES[layout]["folder"])
    WRITERS[layout](folder)
    [name] = COPIES[layout]["archives"]  # type: ignore[misc]
    pack(folder, tmp_path / "data" / name)
    shutil.rmtree(folder)
    card = official(layout)
    assert_is_the_miniature(load_data(card, tmp_path / "data", tmp_path / "cache"))
    assert [path.name for path in (tmp_path / "data").iterdir()] == [name]
    monkeypatch.setattr(unpack, "_unpack", None)
    assert_is_the_miniature(load_data(card, tmp_path / "data", tmp_path / "cache"))


def test_three_archives_and_a_file_beside_them(tmp_path: Path) -> None:
    write_cars(tmp_path / "made")
    data = tmp_path / "data" / "mini"
    for folder, name in (("devkit", "car_devkit"), ("cars_train", ""), ("cars_test", "")):
        pack(tmp_path / "made" / folder, data / f"{name or folder}.tgz")
    shutil.copy(tmp_path / "made" / "cars_test_annos_withlabels.mat", data)
    assert_is_the_miniature(load_data(official("cars"), tmp_path / "data", tmp_path / "cache"))


def test_shards_come_before_archives(tmp_path: Path) -> None:
    write_shards(tmp_path / "data" / "mini")
    write_cub(tmp_path / "data" / "CUB_200_2011")
    data = load_data(official("cub"), tmp_path / "data", tmp_path / "cache")
    assert "parquet" in data.origin


def test_a_folder_with_neither_says_all_that_is_wanted(tmp_path: Path) -> None:
    put(tmp_path / "data" / "mini" / "notes.txt", "nothing")
    expect(
        lambda: load_data(official("cub"), tmp_path / "data", tmp_path / "cache"),
        "train-*.parquet", "'CUB_200_2011' or 'CUB_200_2011.tgz'", "found notes.txt",
    )  # fmt: skip


def test_an_archive_of_another_version(tmp_path: Path) -> None:
    write_cub(tmp_path / "data" / "CUB_200_2011", classes=BIRDS[:2])
    expect(
        lambda: load_data(official("cub"), tmp_path / "data", tmp_path / "cache"),
        str(tmp_path / "data" / "CUB_200_2011"), "2 class names", "classes = 3",
    )  # fmt: skip
    card = official("cub").model_copy(update={"splits": {"train": 10, "test": 6}})
    write_cub(tmp_path / "other" / "CUB_200_2011")
    expect(
        lambda: load_data(card, tmp_path / "other", tmp_path / "cache"),
        "9 images", "10", "another version",
    )  # fmt: skip


def test_a_class_that_one_split_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "CUB_200_2011"
    write_cub(folder)
    splits = folder / "train_test_split.txt"
    lines = splits.read_text().splitlines()
    # The third class's training images change places with test images of the first two.
    flipped = [f"{line[:-1]}{1 - int(line[-1])}" if i in (3, 4, 8, 10, 11, 12) else line
               for i, line in enumerate(lines)]  # fmt: skip
    splits.write_text("\n".join(flipped))
    expect(
        lambda: load_data(official("cub"), tmp_path / "data", tmp_path / "cache"),
        "split 'train' has no image of class 2 (003.Sooty_Albatross)", "in both",
    )  # fmt: skip


# Unpacking


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_an_archive_that_was_half_downloaded(tmp_path: Path, share: float) -> None:
    write_cub(tmp_path / "CUB_200_2011")
    archive = tmp_path / "data" / "CUB_200_2011.tgz"
    pack(tmp_path / "CUB_200_2011", archive)
    cut(archive, share)
    for _ in range(2):  # what is left of the first attempt is not taken for the whole
        expect(
            lambda: load_data(official("cub"), tmp_path / "data", tmp_path / "cache"),
            str(archive), "not downloaded to its end", "Fetch it again",
        )  # fmt: skip


def test_what_an_interrupted_start_left_is_not_taken_for_whole(tmp_path: Path) -> None:
    write_cub(tmp_path / "CUB_200_2011")
    pack(tmp_path / "CUB_200_2011", tmp_path / "a.tgz")
    whole = unpacked(tmp_path / "a.tgz", CUB, tmp_path / "cache")
    half = whole.with_name(f"{whole.name}.half")
    whole.rename(half)
    shutil.rmtree(half / "CUB_200_2011" / "images")
    put(half / "left", "over")
    assert unpacked(tmp_path / "a.tgz", CUB, tmp_path / "cache") == whole
    assert (whole / "CUB_200_2011" / "images").is_dir()
    assert not (whole / "left").exists()
    assert not half.exists()


def test_only_one_of_several_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cub(tmp_path / "CUB_200_2011")
    pack(tmp_path / "CUB_200_2011", tmp_path / "a.tgz")
    calls, really = [], unpack._unpack
    monkeypatch.setattr(unpack, "_unpack", lambda *all_: (calls.append(all_), really(*all_)))
    threads = [
        threading.Thread(target=unpacked, args=(tmp_path / "a.tgz", CUB, tmp_path / "cache"))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_newer_archive_of_the_same_name_is_unpacked_anew(tmp_path: Path) -> None:
    put(tmp_path / "x" / "a.txt", "old")
    pack(tmp_path / "x", tmp_path / "a.tgz")
    old = unpacked(tmp_path / "a.tgz", CUB, tmp_path / "cache")
    put(tmp_path / "x" / "a.txt", "another one")
    pack(tmp_path / "x", tmp_path / "a.tgz")
    os.utime(tmp_path / "a.tgz", (1, 1))
    new = unpacked(tmp_path / "a.tgz", CUB, tmp_path / "cache")
    assert new != old
    assert (new / "x" / "a.txt").read_text() == "another one"


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    put(tmp_path / "x" / "a.txt", "a")
    pack(tmp_path / "x", tmp_path / "a.tgz")
    put(tmp_path / "cache", "a file where a folder should be")
    expect(
        lambda: unpacked(tmp_path / "a.tgz", CUB, tmp_path / "cache"),
        "cannot unpack",
        "KDBENCH_CACHE",
    )


# The hub's copy


def write_shards(
    folder: Path, classes: int = 3, splits: tuple[str, ...] = ("train", "test"), shards: int = 2
) -> None:
    """Parquet files of the miniature as the hub has them, every split in some shards."""
    import datasets

    names = [f"class {label}" for label in range(classes)]
    features = datasets.Features(
        {"img": datasets.Image(), "kind": datasets.ClassLabel(names=names)}
    )
    numbers = {"train": range(TRAIN), "test": range(TRAIN, TRAIN + TEST)}
    numbers |= {"train_part": range(1), "validation": range(1, TRAIN)}
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        rows = [
            {"img": {"bytes": picture(label, number), "path": None}, "kind": label}
            for number in numbers[split]
            for label in range(classes)
        ]
        name = split.removesuffix("_part")
        for shard, chosen in enumerate(np.array_split(np.arange(len(rows)), shards)):
            table = pa.Table.from_pylist([rows[i] for i in chosen], schema=features.arrow_schema)
            pq.write_table(table, folder / f"{name}-{shard:05d}-of-{shards:05d}.parquet")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the pinned revision in a Hugging Face cache, with no network."""
    import huggingface_hub

    assert os.environ["HF_HUB_OFFLINE"] == "1"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(hub, "reachable", lambda: False)
    return tmp_path / "hf" / "datasets--forest--mini" / "snapshots" / ("1" * 40) / "data"


def test_the_pinned_revision_is_read_from_the_hubs_cache(hub_cache: Path, tmp_path: Path) -> None:
    write_shards(hub_cache)
    put(hub_cache / "contrast-00000-of-00001.parquet", "corrupted copies are not looked at")
    data = load_data(make_card(hub_source()), None, tmp_path / "cache")
    assert_is_the_miniature(data)
    assert data.class_names == ("class 0", "class 1", "class 2")
    assert "1" * 40 in data.origin


def test_a_split_may_be_made_of_two_of_the_hubs(hub_cache: Path, tmp_path: Path) -> None:
    write_shards(hub_cache, splits=("train_part", "validation", "test"))
    files = {"train": ["data/train-*.parquet", "data/validation-*.parquet"],
             "test": "data/test-*.parquet"}  # fmt: skip
    data = load_data(make_card(hub_source(files=files)), None, tmp_path / "cache")
    assert_is_the_miniature(data)
    (hub_cache / "validation-00001-of-00002.parquet").unlink()
    expect(
        lambda: load_data(make_card(hub_source(files=files)), None, tmp_path / "cache"),
        "missing validation-00001-of-00002.parquet",
    )


def test_without_network_the_official_archive_is_named_too(hub_cache: Path, tmp_path: Path) -> None:
    expect(
        lambda: load_data(official("cub"), None, tmp_path / "cache"),
        "forest/mini", "does not answer", "hf download", "--include 'data/train-*.parquet'",
        "CUB_200_2011.tgz", "--data DIR",
    )  # fmt: skip


def test_another_revision_has_no_such_files(hub_cache: Path, tmp_path: Path) -> None:
    put(hub_cache / "all.parquet", "another cut")
    expect(
        lambda: load_data(make_card(hub_source()), None, tmp_path / "cache"),
        f"revision {'1' * 40} of 'forest/mini' has no data/train-*.parquet", "Correct",
    )  # fmt: skip


def test_a_revision_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*words: object, **options: object) -> str:
        raise ValueError("Revision Not Found for url: https://…/forest/mini/1111")

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    expect(
        lambda: load_data(make_card(hub_source()), None, tmp_path / "cache"),
        "forest/mini", "Revision Not Found",
    )  # fmt: skip


# The first classes of a larger set


@pytest.mark.parametrize("where", ["archive", "hub"])
def test_the_first_classes_of_a_larger_set(hub_cache: Path, tmp_path: Path, where: str) -> None:
    data_dir = None
    if where == "hub":
        write_shards(hub_cache)
    else:
        data_dir = tmp_path / "data"
        write_cub(data_dir / "CUB_200_2011")
    card = make_card(
        hub_source(keep=2, local=[{"layout": "cub"} | COPIES["cub"]]),
        classes=2, splits={"train": 2 * TRAIN, "test": 2 * TEST},
    )  # fmt: skip
    data = load_data(card, data_dir, tmp_path / "cache")
    assert_is_the_miniature(data, classes=2)
    assert len(data.class_names) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_the_whole_may_lie_where_another_card_keeps_it(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "data" / "whole" / "CUB_200_2011"
    write_cub(folder)
    if packed:
        pack(folder, folder.with_suffix(".tgz"))
        shutil.rmtree(folder)
    copy = {
        "layout": "cub",
        "folder": "whole/CUB_200_2011",
        "archives": ["whole/CUB_200_2011.tgz"],
    }
    card = make_card(hub_source(local=[copy]))
    assert_is_the_miniature(load_data(card, tmp_path / "data", tmp_path / "cache"))


def test_a_part_that_holds_these_classes_alone(tmp_path: Path) -> None:
    write_cub(tmp_path / "data" / "CUB_200_2011", classes=BIRDS[:2])
    source = hub_source(keep=2, local=[{"layout": "cub"} | COPIES["cub"]])
    card = make_card(source, classes=2, splits={"train": 2 * TRAIN, "test": 2 * TEST})
    data = load_data(card, tmp_path / "data", tmp_path / "cache")
    assert_is_the_miniature(data, classes=2)


# Folders of one's own


CARD = """
name = "mine"
title = "Mine"
classes = 3
image_size = 16
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
splits = { train = 9, test = 6 }
pairs = ["resnet14:resnet8"]
[source]
kind = "folder"
layout = "LAYOUT"
folder = "FOLDER"
[protocols.quick]
epochs = 1
batch_size = 4
lr = 0.1
"""


def own_card(path: Path, folder: str, layout: str = "image_folder", more: str = "") -> Card:
    text = CARD.replace("LAYOUT", layout).replace("FOLDER", folder)
    put(path / "mine.toml", text.replace("[protocols", f"{more}\n[protocols"))
    return read_card(path / "mine.toml", LayoutCatalogue())


@pytest.mark.parametrize(
    ("layout", "write"), [("image_folder", write_image_folder), ("csv", write_csv)]
)
def test_a_folder_of_ones_own_needs_no_data_option(
    tmp_path: Path, layout: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "cards" / "images")
    card = own_card(tmp_path / "cards", "images", layout)
    data = load_data(card, None, tmp_path / "cache")
    assert_is_the_miniature(data)
    assert data.class_names == ("ash", "birch", "cedar")


def test_a_folder_may_move_to_the_data_folder(tmp_path: Path) -> None:
    card = own_card(tmp_path / "cards", "/nowhere/images")
    with pytest.raises(DataError, match=r"no folder /nowhere/images\. Correct 'folder'"):
        load_data(card, None, tmp_path / "cache")
    write_image_folder(tmp_path / "data" / "images")
    assert_is_the_miniature(load_data(card, tmp_path / "data", tmp_path / "cache"))


def test_where_a_folder_lies_is_no_part_of_its_revision(tmp_path: Path) -> None:
    first = own_card(tmp_path / "a", "images")
    assert first.revision == own_card(tmp_path / "b", "/else/where").revision
    assert first.revision != own_card(tmp_path / "c", "images", more='revision = "2"').revision
    other = own_card(tmp_path / "d", "images", more='fingerprint = "ab"')
    assert other.revision != first.revision


def test_other_images_than_the_fingerprints_are_refused(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images")
    card = own_card(tmp_path, "images", more='fingerprint = "0123456789abcdef"')
    with pytest.raises(DataError, match='write fingerprint = "') as caught:
        load_data(card, None, tmp_path / "cache")
    found = str(caught.value).split('fingerprint = "')[1][:16]
    card = own_card(tmp_path, "images", more=f'fingerprint = "{found}"')
    assert_is_the_miniature(load_data(card, None, tmp_path / "cache"))


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('"csv"', '"cvs"', ("unknown layout 'cvs'", "Did you mean 'csv'")),
        ('kind = "folder"', 'kind = "folder"\noptions = { level = "x" }', ("no option 'level'",)),
        ('kind = "folder"', 'kind = "folder"\npath = "x"', ("path",)),
    ],
)
def test_a_wrong_source_names_the_file_and_the_fault(
    tmp_path: Path, old: str, new: str, parts: tuple[str, ...]
) -> None:
    text = CARD.replace("LAYOUT", "csv").replace("FOLDER", "x")
    put(tmp_path / "mine.toml", text.replace(old, new))
    with pytest.raises(CardError) as caught:
        read_card(tmp_path / "mine.toml", LayoutCatalogue())
    for part in (str(tmp_path / "mine.toml"), *parts):
        assert part in str(caught.value)


def test_an_option_takes_its_values_alone() -> None:
    copy = {"layout": "aircraft", "options": {"level": "model"}} | COPIES["aircraft"]
    with pytest.raises(ValueError, match="one of variant, family, manufacturer, not 'model'"):
        HubSource.model_validate(hub_source(local=[copy]), context={"layouts": LayoutCatalogue()})


def test_a_truncated_image_stops_what_reads_it_and_is_named(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images")
    broken = tmp_path / "images" / "train" / "ash" / "1.jpg"
    cut(broken, 0.6)
    card = own_card(tmp_path, "images")
    expect(lambda: load_data(card, None, tmp_path / "cache"), str(broken), "Fetch the file again")
    data = open_data(card, None, tmp_path / "cache")
    loader = make_loader(
        data.train, data.pictures, batch_size=4, seed=0, device="cpu", train=True, workers=0
    )
    expect(lambda: list(loader.epoch(0)), str(broken), "truncated", "Fetch the file again")


# Image size


def test_a_protocols_image_size_is_what_the_loader_gives(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images")
    card = own_card(tmp_path, "images")
    small = card.protocol("quick[image_size=12]")
    data = load_data(card, None, tmp_path / "cache", protocol=small)
    assert data.pictures.shape == (12, 12)
    for train, split in ((True, data.train), (False, data.test)):
        loader = make_loader(
            split, data.pictures, batch_size=4, seed=0, device="cpu", train=train, workers=0
        )
        assert next(iter(loader.epoch(0))).images.shape == (4, 3, 12, 12)
