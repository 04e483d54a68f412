"""Large images are decoded once, made smaller and mapped, whatever happens meanwhile."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console
from small_pictures import Pictures, as_file, write_shards

from benchmark.cards.card import Card
from benchmark.data.kept import mapped as building
from benchmark.data.kept import pixel_file
from benchmark.data.kept.cache import cache_files
from benchmark.data.kept.mapped import mapped
from benchmark.data.kept.pixel_file import RECORD, MappedImages, trailing
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.opening import load_data
from benchmark.data.shrink import short_side, shrink
from benchmark.data.sources.shards import decode_image
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError

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


def make(photos: Photos, path: Path, **changes: Any) -> MappedImages:
    options = {"image_size": SIZE, "title": "photos", "console": None} | changes
    return mapped(photos, path=path, **options)


def assert_same(found: MappedImages, photos: Sequence[Image]) -> None:
    assert len(found) == len(photos)
    for position, photo in enumerate(photos):
        np.testing.assert_array_equal(found[position], shrink(photo, SHORT))


SIZES = [(8 + 3 * i % 19, 8 + 7 * i % 23) for i in range(40)]


@pytest.fixture
def photos() -> Photos:
    return Photos.random(SIZES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "trees" / "0123-train.pixels"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal knows of every image at once, and the disk's room is not sampled."""
    monkeypatch.setattr(building, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(building, "_SAMPLE", 0)


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
def test_what_is_mapped_is_what_was_made_smaller(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    choice: st.DataObject,
) -> None:
    photos = Photos.random(sizes)
    found = make(photos, tmp_path_factory.mktemp("maps") / "x.pixels")
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


def test_progress_is_shown_on_a_console(photos: Photos, path: Path) -> None:
    stream = io.StringIO()
    make(photos, path, console=Console(file=stream, width=100))
    assert "decoding photos" in stream.getvalue()
    assert "40/40" in stream.getvalue()


# Interruptions


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "x.pixels"
    make(Photos.random(SIZES), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a build that stopped before the last image."""
    path = tmp_path_factory.mktemp("interrupted") / "x.pixels"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "_BLOCK_BYTES", 1)
        patch.setattr(building, "_SAMPLE", 0)
        broken = Photos(Photos.random(SIZES).images, {39: DataError("photo 39 is broken")})
        with pytest.raises(DataError, match="photo 39 is broken"):
            make(broken, path)
        assert not path.exists()
        yield path.parent


def copy_of(folder: Path, factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Where the file will be, the unfinished file and its journal, in a new folder."""
    new = factory.mktemp("build")
    shutil.copytree(folder, new, dirs_exist_ok=True)
    return new / "x.pixels", new / "x.pixels.partial", new / "x.pixels.journal"


@settings(deadline=None, max_examples=60)
@given(
    data_share=st.floats(0, 1),
    journal_share=st.floats(0, 1),
    junk=st.binary(max_size=50),
)
def test_a_build_goes_on_from_any_point(
    tmp_path_factory: pytest.TempPathFactory,
    interrupted: Path,
    whole: bytes,
    data_share: float,
    journal_share: float,
    junk: bytes,
) -> None:
    path, partial, journal = copy_of(interrupted, tmp_path_factory)
    for file, share in ((partial, data_share), (journal, journal_share)):
        content = file.read_bytes()
        file.write_bytes(content[: round(share * len(content))] + junk)
    make(Photos.random(SIZES), path)
    assert path.read_bytes() == whole
    assert not partial.exists()
    assert not journal.exists()


@settings(deadline=None, max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), in_journal=st.booleans(), bit=st.integers(0, 7))
def test_a_damaged_build_is_not_continued_behind_the_damage(
    tmp_path_factory: pytest.TempPathFactory,
    interrupted: Path,
    whole: bytes,
    place: float,
    in_journal: bool,
    bit: int,
) -> None:
    path, partial, journal = copy_of(interrupted, tmp_path_factory)
    file = journal if in_journal else partial
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    file.write_bytes(content)
    make(Photos.random(SIZES), path)
    assert path.read_bytes() == whole


def test_what_is_decoded_is_not_decoded_again(
    tmp_path_factory: pytest.TempPathFactory, interrupted: Path
) -> None:
    path, _, _ = copy_of(interrupted, tmp_path_factory)
    photos = Photos.random(SIZES)
    make(photos, path)
    assert set(photos.asked) == {39}


def test_a_build_interrupted_while_it_is_finished(
    tmp_path_factory: pytest.TempPathFactory,
    interrupted: Path,
    whole: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: Path) -> None:
        raise KeyboardInterrupt

    path, partial, _ = copy_of(interrupted, tmp_path_factory)
    with monkeypatch.context() as patch:
        patch.setattr(building.os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(Photos.random(SIZES), path)
    assert not path.exists()
    assert partial.read_bytes() == whole
    photos = Photos.random(SIZES)
    make(photos, path)
    assert path.read_bytes() == whole
    assert not photos.asked


@pytest.mark.usefixtures("small_blocks")
def test_a_killed_process_leaves_what_the_next_continues(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pixels"
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_make_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert not path.exists()
    photos = Photos.random(SIZES)
    make(photos, path)
    assert path.read_bytes() == whole
    assert 0 not in photos.asked


def _make_and_die(path: Path) -> None:
    building._BLOCK_BYTES, building._SAMPLE = 1, 0
    make(Dying.random(SIZES), path)


def test_a_build_of_another_size_is_not_continued(
    tmp_path_factory: pytest.TempPathFactory, interrupted: Path
) -> None:
    path, _, _ = copy_of(interrupted, tmp_path_factory)
    photos = Photos.random(SIZES)
    found = make(photos, path, image_size=14)
    assert found.short_side == 16
    assert len(photos.asked) == 40
    np.testing.assert_array_equal(found[0], shrink(photos.images[0], 16))


@pytest.mark.usefixtures("small_blocks")
def test_one_makes_what_several_want_and_the_others_wait(path: Path) -> None:
    gate, stream = threading.Event(), io.StringIO()
    photos = Gated.random(SIZES)
    photos.gate = gate
    console = Console(file=stream, width=100)
    threads = [
        threading.Thread(target=make, args=(photos, path), kwargs={"console": console})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while stream.getvalue().count("waiting for another process that decodes photos") < 2:
        assert any(thread.is_alive() for thread in threads)
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert set(photos.asked.values()) == {1}
    assert_same(make(photos, path), photos.images)


# Faults


@pytest.mark.parametrize("damage", ["short", "empty", "foreign", "trailer", "index", "longer"])
def test_a_damaged_file_is_made_anew(photos: Photos, path: Path, damage: str) -> None:
    make(photos, path)
    whole = path.read_bytes()
    trailer, index = bytearray(whole), bytearray(whole)
    trailer[-20] ^= 1
    index[-50] ^= 1
    damaged = {
        "short": whole[:-9],
        "empty": b"",
        "foreign": b"PK" * 99,
        "trailer": trailer,
        "index": index,
        "longer": whole[:5] + whole,
    }
    path.write_bytes(damaged[damage])
    stream = io.StringIO()
    assert_same(make(photos, path, console=Console(file=stream, width=400)), photos.images)
    assert "is made anew: it" in stream.getvalue()
    assert path.read_bytes() == whole


def test_a_file_of_other_images_is_made_anew(photos: Photos, path: Path) -> None:
    make(Photos(photos.images[:7]), path)
    assert_same(make(photos, path), photos.images)
    make(photos, path, image_size=3)
    assert_same(make(photos, path), photos.images)


def test_changed_pixels_are_found_when_they_are_looked_for(photos: Photos, path: Path) -> None:
    make(photos, path)
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    found = make(photos, path)
    assert found.damaged() == [0]
    assert found.select([3, 0, 2]).damaged() == [1]


def test_a_broken_image_stops_the_build_with_its_name(photos: Photos, path: Path) -> None:
    photos.faults = {21: ValueError("no such colour")}
    with pytest.raises(DataError, match="photos, image 21: cannot be read: no such colour"):
        make(photos, path)
    assert not path.exists()
    photos.faults = {}
    photos.images[21] = np.zeros((9, 9), dtype=np.uint8)
    with pytest.raises(DataError, match=r"photos, image 21: it has the shape \(9, 9\)"):
        make(photos, path)


def test_a_disk_without_room_is_told_before_decoding(
    photos: Photos, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(path.anchor)._replace(free=1000)
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(building, "_SAMPLE", 4)
    with pytest.raises(
        DataError, match=r"(?s)photos needs about [0-9.]+ kB in .* has 1\.0 kB free.*KDBENCH_CACHE"
    ):
        make(photos, path)
    assert len(photos.asked) == 4


def test_a_disk_that_fills_up_is_explained(
    photos: Photos, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Image) -> bytes:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(building, "record_of", full)
        with pytest.raises(DataError, match=r"No space left on device.*\n.*KDBENCH_CACHE"):
            make(photos, path)
    assert_same(make(photos, path), photos.images)


def test_a_folder_that_cannot_be_made_is_explained(photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match="cannot keep decoded images"):
        make(photos, tmp_path / "cache" / "x.pixels")


def test_a_file_that_went_away_is_explained(photos: Photos, path: Path) -> None:
    travelling = pickle.dumps(make(photos, path))
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened again"):
        pickle.loads(travelling)


def test_kept_files_are_listed(photos: Photos, path: Path) -> None:
    make(photos, path)
    path.with_name("9-test.pixels.partial").write_bytes(b"12345")
    path.with_name("notes.txt").touch()
    found = cache_files(path.parents[1])
    assert [file.path.name for file in found] == [path.name, "9-test.pixels.partial"]
    assert [file.size_bytes for file in found] == [path.stat().st_size, 5]
    assert {file.dataset for file in found} == {"trees"}
    assert cache_files(path.parents[1] / "nowhere") == []


# In processes and loaders


def test_another_process_maps_the_same_file(photos: Photos, path: Path) -> None:
    part = make(photos, path).select(range(10, 40))
    assert len(pickle.dumps(part)) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sums, (part,)) == _sums(part)


def _sums(images: MappedImages) -> list[int]:
    return [int(images[i].sum()) for i in range(len(images))]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_the_pixels_of_the_originals(
    make_card: MakeCard, photos: Photos, path: Path, workers: int
) -> None:
    card, labels = make_card(image_size=SIZE), torch.arange(40) % 4
    options: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu", "train": False}
    originals = WorkersLoader(ImageSplit(photos, labels), card, workers=0, **options)
    kept = WorkersLoader(ImageSplit(make(photos, path), labels), card, workers=workers, **options)
    for one, other in zip(originals.epoch(0), kept.epoch(0), strict=True):
        assert torch.equal(one.images, other.images)


def test_hub_images_of_different_sizes_are_decoded_once(
    make_card: MakeCard,
    tmp_path: Path,
    train: Pictures,
    test: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = make_card(source={"mixed_sizes": True})
    tall = [np.tile(image, (3, 2 + i % 2, 1)) for i, image in enumerate(train.images)]
    write_shards(tmp_path / "trees", "train", list(map(as_file, tall)), train.labels)
    write_shards(tmp_path / "trees", "test", list(map(as_file, test.images)), test.labels)
    stream = io.StringIO()
    console = Console(file=stream, width=100)
    first = load_data(card, tmp_path, tmp_path / "cache", console=console)
    assert "decoding Trees, train" in stream.getvalue()
    monkeypatch.setattr("benchmark.data.sources.encoded.decode_image", None)
    second = load_data(card, tmp_path, tmp_path / "cache")
    for data in (first, second):
        assert isinstance(data.train.images, MappedImages)
        assert isinstance(data.test.images, MappedImages)
        for position, photo in enumerate(tall):
            np.testing.assert_array_equal(
                data.train.images[position], shrink(photo, short_side(card.image_size))
            )
    assert len([f for f in cache_files(tmp_path / "cache") if f.path.suffix == ".pixels"]) == 2


@pytest.mark.realdata
def test_photos_of_birds_are_evaluated_as_their_originals(
    make_card: MakeCard, tmp_path: Path
) -> None:
    files = sorted(Path(os.environ["KDBENCH_DATA"]).glob("cub50/CUB_200_2011/images/*/*.jpg"))
    if not files:
        pytest.skip("KDBENCH_DATA has no cub50")
    photos = Photos([decode_image(f.read_bytes(), f.name) for f in files[::60]])
    found = make(photos, tmp_path / "x.pixels", image_size=112)
    assert found.damaged() == []
    assert {min(found[i].shape[:2]) for i in range(len(found))} == {128}
    card, labels = make_card(image_size=112), torch.zeros(len(photos)).long()
    options: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu", "train": False}
    originals = WorkersLoader(ImageSplit(photos, labels), card, workers=0, **options)
    kept = WorkersLoader(ImageSplit(found, labels), card, workers=0, **options)
    for one, other in zip(originals.epoch(0), kept.epoch(0), strict=True):
        assert torch.equal(one.images, other.images)


# Memory


def large_file(path: Path, *, images: int, edge: int) -> None:
    """A file of black images that takes no room on the disk."""
    records = np.zeros(images, dtype=RECORD)
    records["height"] = records["width"] = edge
    with path.open("wb") as file:
        file.truncate(images * edge * edge * 3)
        file.seek(0, os.SEEK_END)
        file.write(trailing(records.tobytes(), edge))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_memory_does_not_grow_with_the_set(
    make_card: MakeCard, tmp_path: Path, workers: int
) -> None:
    images, edge = 5000, 256
    large_file(tmp_path / "x.pixels", images=images, edge=edge)  # 1 GB
    card = make_card(
        image_size=224,
        augmentation=({"name": "random_resized_crop"}, {"name": "horizontal_flip"}),
    )
    split = ImageSplit(MappedImages(tmp_path / "x.pixels"), torch.zeros(images).long())
    loader = WorkersLoader(
        split, card, batch_size=50, seed=0, device="cpu", train=True, workers=workers
    )
    early = late = (0, 0)
    for number, _ in enumerate(loader.epoch(0)):
        if number == 15:
            early = memory_of_all()
        if number in (45, 70, 99):
            late = max(late, memory_of_all())
    # What is private stays the same. What is resident includes up to 256 MB of the map a process.
    assert late[0] - early[0] < 100 << 20
    assert late[1] - early[1] < (100 << 20) + (workers or 1) * pixel_file._RESIDENT_BYTES


def memory_of_all() -> tuple[int, int]:
    """Bytes of this process and its workers: private, and resident with the shared."""
    this = psutil.Process()
    every = [process.memory_info() for process in (this, *this.children(recursive=True))]
    return sum(memory.rss - memory.shared for memory in every), sum(m.rss for m in every)
