"""Large images are decoded once, made smaller and kept, whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.cards.card import Card
from benchmark.data.kept import pixel_files, pixels
from benchmark.data.kept.pixel_files import KeptImages
from benchmark.data.kept.pixels import keep_pixels
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.opening import load_data
from benchmark.data.pictures import Pictures
from benchmark.data.shrink import short_side, shrink
from benchmark.data.sources.shards import decode_image
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError, DisturbanceError
from tests.support.listeners import Noting
from tests.support.small_pictures import Mosaics, as_file, write_shards

MakeCard = Callable[..., Card]
Image = NDArray[np.uint8]
SIZE, SHORT = 7, 8
"""The tests' image size, and the short side that belongs to it."""


class Photos:
    """Images in memory that counts how often each was asked for, and may fail at some."""

    def __init__(self, images: Sequence[Image], faults: dict[int, BaseException] | None = None):
        self.images, self.faults = list(images), faults or {}
        self.asked: Counter[int] = Counter()

    @classmethod
    def random(cls, sizes: Sequence[tuple[int, int]], seed: int = 0) -> Self:
        rng = np.random.default_rng(seed)
        return cls([rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Image:
        self.asked[position] += 1
        if position in self.faults:
            raise self.faults[position]
        return self.images[position]

    def select(self, positions: Sequence[int]) -> Photos:
        return Photos([self.images[i] for i in positions])


class Dying(Photos):
    """Ends the process at the last image, without any goodbye."""

    def __getitem__(self, position: int) -> Image:
        if position == len(self) - 1:
            os._exit(9)
        return super().__getitem__(position)


class Gated(Photos):
    """Gives no image before it may."""

    gate: threading.Event

    def __getitem__(self, position: int) -> Image:
        assert self.gate.wait(60)
        return super().__getitem__(position)


def make(photos: Photos, path: Path, **changes: Any) -> KeptImages:
    options = {"image_size": SIZE, "title": "photos", "listener": Noting()} | changes
    return keep_pixels(photos, folder=path, **options)


def assert_same(found: KeptImages, photos: Sequence[Image]) -> None:
    assert len(found) == len(photos)
    for position, photo in enumerate(photos):
        np.testing.assert_array_equal(found[position], shrink(photo, SHORT))


SIZES = [(8 + 3 * i % 19, 8 + 7 * i % 23) for i in range(40)]


@pytest.fixture
def photos() -> Photos:
    return Photos.random(SIZES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "trees" / "0123-train.images"


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file holds eight images, and one image tells how much room is needed."""
    monkeypatch.setattr(pixel_files, "_LEAST_IMAGES", 8)
    monkeypatch.setattr(pixels, "_SAMPLE", 1)


# Making smaller


def test_the_short_side_is_that_of_evaluation() -> None:
    assert [short_side(size) for size in (32, 64, 224, 448)] == [37, 73, 256, 512]


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70), short=st.integers(1, 40))
def test_shrinking_is_fitting_for_evaluation(height: int, width: int, short: int) -> None:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    (photo,) = Photos.random([(height, width)]).images
    small = shrink(photo, short)
    assert min(small.shape[:2]) == min(short, height, width)
    assert all(new <= old for new, old in zip(small.shape, photo.shape, strict=True))
    fit = A.SmallestMaxSize(max_size=short, area_for_downscale="image")
    np.testing.assert_array_equal(fit(image=small)["image"], fit(image=photo)["image"])


def test_a_panorama_keeps_its_proportions() -> None:
    for shape in ((20, 4000, 3), (4000, 20, 3)):
        small = shrink(np.zeros(shape, dtype=np.uint8), 10)
        assert sorted(small.shape) == [3, 10, 2000]
    thin = np.zeros((3, 4000, 3), dtype=np.uint8)
    assert shrink(thin, 10) is thin


# What is kept


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=12),
    choice=st.data(),
)
def test_what_is_kept_is_what_was_made_smaller(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    choice: st.DataObject,
) -> None:
    photos = Photos.random(sizes)
    found = make(photos, tmp_path_factory.mktemp("kept") / "x.images")
    assert_same(found, photos.images)
    positions = st.lists(st.integers(0, len(sizes) - 1)) if sizes else st.just([])
    first = choice.draw(positions)
    part = found.select(first)
    assert_same(part, [photos.images[i] for i in first])
    again = part.select(range(len(first))[::-1])
    assert_same(again, [photos.images[i] for i in reversed(first)])
    assert_same(pickle.loads(pickle.dumps(again)), [photos.images[i] for i in reversed(first)])


def test_images_cannot_be_written_to(photos: Photos, path: Path) -> None:
    image = make(photos, path)[3]
    assert not image.flags.writeable
    assert not image.flags.owndata


def test_positions_count_from_the_end_and_end(photos: Photos, path: Path) -> None:
    found = make(photos, path)
    np.testing.assert_array_equal(found[-1], found[39])
    assert len(list(found)) == 40  # type: ignore[call-overload]
    with pytest.raises(IndexError):
        found[40]


def test_a_second_start_decodes_nothing_and_writes_nothing(photos: Photos, path: Path) -> None:
    make(photos, path)
    Path(f"{path}.lock").unlink(missing_ok=True)
    asked = photos.asked.copy()
    assert_same(make(photos, path), photos.images)
    assert photos.asked == asked
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_originals_are_at_hand(photos: Photos, path: Path) -> None:
    part = make(photos, path).select([5, 2])
    assert part.original is not None
    np.testing.assert_array_equal(part.original[1], photos.images[2])
    assert pickle.loads(pickle.dumps(part)).original is None


def test_the_listener_hears_of_the_progress(photos: Photos, path: Path) -> None:
    listener = Noting()
    make(photos, path, listener=listener)
    assert listener.titles == listener.totals == {"decoding photos": 40}


@pytest.mark.usefixtures("small_files")
def test_many_images_lie_in_a_limited_number_of_files(
    photos: Photos, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same(make(photos, path), photos.images)
    assert len(list(path.iterdir())) == 5
    monkeypatch.setattr(pixel_files, "_MOST_FILES", 3)
    other = path.with_name("other.images")
    assert_same(make(photos, other), photos.images)
    assert [file.name for file in sorted(other.iterdir())] == [
        f"0000{number}-of-00003.arrow" for number in range(3)
    ]


# Interruptions


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def whole(tmp_path: Path, small_files: None) -> dict[str, bytes]:
    make(Photos.random(SIZES), tmp_path / "whole.images")
    return content(tmp_path / "whole.images")


@pytest.fixture
def interrupted(path: Path, small_files: None) -> Path:
    """A folder whose making stopped before the last image."""
    broken = Photos(Photos.random(SIZES).images, {39: DataError("photo 39 is broken")})
    with pytest.raises(DataError, match="photo 39 is broken"):
        make(broken, path)
    assert len(list(path.iterdir())) == 4
    return path


@pytest.mark.usefixtures("small_files")
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(shares=st.lists(st.floats(0, 1) | st.none(), min_size=5, max_size=5), junk=st.binary())
def test_it_goes_on_from_any_point(
    tmp_path_factory: pytest.TempPathFactory,
    whole: dict[str, bytes],
    shares: list[float | None],
    junk: bytes,
) -> None:
    """Files that are whole, cut short, followed by something else, or not there."""
    folder = tmp_path_factory.mktemp("build") / "x.images"
    folder.mkdir()
    for share, (name, is_whole) in zip(shares, sorted(whole.items()), strict=True):
        if share is not None:
            cut = round(share * len(is_whole))
            (folder / name).write_bytes(is_whole[:cut] + junk)
            (folder / name).with_suffix(".partial").write_bytes(is_whole[cut:])
    assert_same(make(Photos.random(SIZES), folder), Photos.random(SIZES).images)
    assert {name: content(folder)[name] for name in whole} == whole


def test_what_is_decoded_is_not_decoded_again(interrupted: Path, whole: dict[str, bytes]) -> None:
    photos, listener = Photos.random(SIZES), Noting()
    make(photos, interrupted, listener=listener)
    assert set(photos.asked) == set(range(32, 40))
    assert content(interrupted) == whole
    assert listener.titles == {"decoding photos": 40}
    assert not listener.notes


@pytest.mark.usefixtures("small_files")
def test_a_killed_process_leaves_what_the_next_continues(
    path: Path, whole: dict[str, bytes]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_make_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    photos = Photos.random(SIZES)
    assert_same(make(photos, path), photos.images)
    assert content(path) == whole
    assert 0 not in photos.asked


def _make_and_die(path: Path) -> None:
    pixel_files._LEAST_IMAGES, pixels._SAMPLE = 8, 1
    make(Dying.random(SIZES), path)


def test_what_was_made_for_another_size_is_not_continued(interrupted: Path) -> None:
    photos = Photos.random(SIZES)
    found = make(photos, interrupted, image_size=14)
    assert found.short_side == 16
    assert len(photos.asked) == 40
    np.testing.assert_array_equal(found[0], shrink(photos.images[0], 16))


@pytest.mark.usefixtures("small_files")
def test_one_makes_what_several_want_and_the_others_wait(path: Path) -> None:
    gate, listener = threading.Event(), Noting()
    photos = Gated.random(SIZES)
    photos.gate = gate
    threads = [
        threading.Thread(target=make, args=(photos, path), kwargs={"listener": listener})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while listener.notes.count("waiting for another process that decodes photos") < 2:
        assert any(thread.is_alive() for thread in threads)
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert photos.asked[0] == 2, "once for the room, once to be kept"
    assert {photos.asked[position] for position in range(1, 40)} == {1}
    assert_same(make(photos, path), photos.images)


# Faults


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("damage", ["short", "empty", "foreign", "end", "index", "longer"])
def test_a_damaged_file_is_made_anew(photos: Photos, path: Path, damage: str) -> None:
    make(photos, path)
    before, file = content(path), sorted(path.iterdir())[1]
    whole = file.read_bytes()
    end, index = bytearray(whole), bytearray(whole)
    end[-3] ^= 1
    index[-10:-6] = b"\xff\xff\xff\x7f"  # how long the index is
    damaged = {
        "short": whole[:-9],
        "empty": b"",
        "foreign": b"PK" * 99,
        "end": end,
        "index": index,
        "longer": whole + whole[:5],
    }
    file.write_bytes(damaged[damage])
    listener = Noting()
    photos.asked.clear()
    assert_same(make(photos, path, listener=listener), photos.images)
    assert [str(file) in note and "is made anew: " in note for note in listener.notes] == [True]
    assert set(photos.asked) == set(range(8, 16))
    assert content(path) == before


def test_a_folder_of_other_images_is_made_anew(photos: Photos, path: Path) -> None:
    make(Photos(photos.images[:7]), path)
    assert_same(make(photos, path), photos.images)
    make(photos, path, image_size=3)
    assert_same(make(photos, path), photos.images)


def test_a_file_that_is_damaged_later_is_named(photos: Photos, path: Path) -> None:
    found = make(photos, path)
    (file,) = path.iterdir()
    with file.open("r+b") as opened:
        opened.truncate(2000)
    with pytest.raises(DisturbanceError, match=rf"{file} is damaged: .* was taken away"):
        found[39]
    assert_same(make(photos, path), photos.images)


@pytest.mark.usefixtures("small_files")
def test_every_flipped_byte_is_noticed_before_it_is_a_pixel(photos: Photos, path: Path) -> None:
    make(photos, path)
    file = sorted(path.iterdir())[1]
    whole = file.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 13):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        try:
            assert_same(make(photos, path), photos.images)
        except DisturbanceError:
            assert not file.exists()
            noticed += 1
            assert_same(make(photos, path), photos.images)
    assert noticed > len(whole) / 13 / 2


@pytest.mark.usefixtures("small_files")
def test_all_that_is_kept_can_be_looked_through(photos: Photos, path: Path) -> None:
    make(photos, path)
    read: list[int] = []
    assert pixel_files.check_pixels(path, advance=read.append) == []
    assert sum(read) == len(photos)
    second, fourth = sorted(path.iterdir())[1], sorted(path.iterdir())[3]
    content = bytearray(second.read_bytes())
    content[len(content) // 3] ^= 8
    second.write_bytes(content)
    fourth.write_bytes(b"no such file")
    found = pixel_files.check_pixels(path, advance=read.append)
    assert [str(file) in fault for file, fault in zip((second, fourth), found, strict=True)]
    assert not second.exists()
    assert_same(make(photos, path), photos.images)


def test_images_of_one_file_cannot_change_places(photos: Photos, path: Path) -> None:
    even = Photos.random([(9, 9)] * 4)
    found = make(even, path)
    (file,) = path.iterdir()
    content = file.read_bytes()
    first, second = found[0].tobytes(), found[1].tobytes()
    swapped = content.replace(first, b"?").replace(second, first).replace(b"?", second)
    if len(swapped) == len(content):
        file.write_bytes(swapped)
        with pytest.raises(DisturbanceError):
            make(even, path)[0]


def test_a_broken_image_stops_the_build_with_its_name(photos: Photos, path: Path) -> None:
    photos.faults = {21: ValueError("no such colour")}
    with pytest.raises(DataError, match="photos, image 21: cannot be read: no such colour"):
        make(photos, path)
    assert not list(path.iterdir())
    photos.faults = {}
    photos.images[21] = np.zeros((9, 9), dtype=np.uint8)
    with pytest.raises(DataError, match=r"photos, image 21: it has the shape \(9, 9\)"):
        make(photos, path)


def test_a_disk_without_room_is_told_before_decoding(
    photos: Photos, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(path.anchor)._replace(free=1000)
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(pixels, "_SAMPLE", 4)
    with pytest.raises(
        DataError, match=r"(?s)photos needs about [0-9.]+ MB in .* has 0\.0 MB free.*KDBENCH_CACHE"
    ):
        make(photos, path)
    assert len(photos.asked) == 4


def test_a_disk_that_fills_up_is_explained(
    photos: Photos, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pixels, "_batch", full)
        with pytest.raises(DataError, match=r"No space left on device.*\n.*KDBENCH_CACHE"):
            make(photos, path)
    assert_same(make(photos, path), photos.images)


def test_a_folder_that_cannot_be_made_is_explained(photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match="cannot keep decoded images"):
        make(photos, tmp_path / "cache" / "x.images")


def test_a_file_that_went_away_is_explained(photos: Photos, path: Path) -> None:
    travelling = pickle.dumps(make(photos, path))
    shutil.rmtree(path)
    with pytest.raises(DataError, match="cannot be opened again"):
        pickle.loads(travelling)


# In processes and loaders


def test_another_process_reads_the_same_files(photos: Photos, path: Path) -> None:
    part = make(photos, path).select(range(10, 40))
    assert len(pickle.dumps(part)) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sums, (part,)) == _sums(part)


def _sums(images: KeptImages) -> list[int]:
    return [int(images[i].sum()) for i in range(len(images))]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_the_pixels_of_the_originals(
    make_card: MakeCard, photos: Photos, path: Path, workers: int
) -> None:
    card, labels = make_card(image_size=SIZE), torch.arange(40) % 4
    options: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu", "train": False}
    originals = WorkersLoader(ImageSplit(photos, labels), Pictures.of(card), workers=0, **options)
    kept = WorkersLoader(
        ImageSplit(make(photos, path), labels), Pictures.of(card), workers=workers, **options
    )
    for one, other in zip(originals.epoch(0), kept.epoch(0), strict=True):
        assert torch.equal(one.images, other.images)


def test_hub_images_of_different_sizes_are_decoded_once(
    make_card: MakeCard,
    tmp_path: Path,
    train: Mosaics,
    test: Mosaics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = make_card(source={"mixed_sizes": True})
    tall = [np.tile(image, (3, 2 + i % 2, 1)) for i, image in enumerate(train.images)]
    write_shards(tmp_path / "trees", "train", list(map(as_file, tall)), train.labels)
    write_shards(tmp_path / "trees", "test", list(map(as_file, test.images)), test.labels)
    listener = Noting()
    first = load_data(card, tmp_path, tmp_path / "cache", listener=listener)
    assert "decoding Trees, train" in listener.titles
    monkeypatch.setattr("benchmark.data.sources.encoded.decode_image", None)
    second = load_data(card, tmp_path, tmp_path / "cache")
    for data in (first, second):
        assert isinstance(data.train.images, KeptImages)
        assert isinstance(data.test.images, KeptImages)
        for position, photo in enumerate(tall):
            np.testing.assert_array_equal(
                data.train.images[position], shrink(photo, short_side(card.image_size))
            )
    assert len(list((tmp_path / "cache").rglob("*.images"))) == 2


def test_what_an_older_version_kept_is_left_alone(
    make_card: MakeCard, tmp_path: Path, train: Mosaics, test: Mosaics
) -> None:
    card = make_card(source={"mixed_sizes": True})
    for split, part in (("train", train), ("test", test)):
        write_shards(tmp_path / "trees", split, list(map(as_file, part.images)), part.labels)
    load_data(card, tmp_path, tmp_path / "cache")
    for folder in list((tmp_path / "cache" / "trees").glob("*.images")):
        shutil.rmtree(folder)
        folder.with_suffix(".pixels").write_bytes(b"kdpixel1")
    assert isinstance(load_data(card, tmp_path, tmp_path / "cache").train.images, KeptImages)


@pytest.mark.realdata
def test_photos_of_birds_are_evaluated_as_their_originals(
    make_card: MakeCard, tmp_path: Path
) -> None:
    files = sorted(Path(os.environ["KDBENCH_DATA"]).glob("cub50/CUB_200_2011/images/*/*.jpg"))
    if not files:
        pytest.skip("KDBENCH_DATA has no cub50")
    photos = Photos([decode_image(f.read_bytes(), f.name) for f in files[::60]])
    found = make(photos, tmp_path / "x.images", image_size=112)
    assert {min(found[i].shape[:2]) for i in range(len(found))} == {128}
    card, labels = make_card(image_size=112), torch.zeros(len(photos)).long()
    options: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu", "train": False}
    originals = WorkersLoader(ImageSplit(photos, labels), Pictures.of(card), workers=0, **options)
    kept = WorkersLoader(ImageSplit(found, labels), Pictures.of(card), workers=0, **options)
    for one, other in zip(originals.epoch(0), kept.epoch(0), strict=True):
        assert torch.equal(one.images, other.images)


# Memory


class Black:
    """Many black images that take no memory."""

    def __init__(self, images: int) -> None:
        self.images = images

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, position: int) -> Image:
        return np.zeros((256, 256, 3), dtype=np.uint8)

    def select(self, positions: Sequence[int]) -> Black:
        return Black(len(positions))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_memory_does_not_grow_with_the_set(
    make_card: MakeCard, tmp_path: Path, workers: int
) -> None:
    images = keep_pixels(
        Black(5000), image_size=224, folder=tmp_path / "x.images", title="", listener=Noting()
    )  # 1 GB
    card = make_card(
        image_size=224,
        augmentation=({"name": "random_resized_crop"}, {"name": "horizontal_flip"}),
    )
    split = ImageSplit(images, torch.zeros(len(images)).long())
    loader = WorkersLoader(
        split, Pictures.of(card), batch_size=50, seed=0, device="cpu", train=True, workers=workers
    )
    early = late = (0, 0)
    for number, _ in enumerate(loader.epoch(0)):
        if number == 15:
            early = memory_of_all()
        if number in (45, 70, 99):
            late = max(late, memory_of_all())
    assert late[0] - early[0] < 100 << 20
    assert late[1] - early[1] < 100 << 20


def memory_of_all() -> tuple[int, int]:
    """Bytes of this process and its workers: private, and resident with the shared."""
    this = psutil.Process()
    every = [process.memory_info() for process in (this, *this.children(recursive=True))]
    return sum(memory.rss - memory.shared for memory in every), sum(m.rss for m in every)
