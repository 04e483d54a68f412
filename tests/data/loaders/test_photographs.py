"""Photographs made ready on the device are those that worker processes make, but for roundings."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.cards.card import Card
from benchmark.cards.catalogue import read_card
from benchmark.data.loaders import table
from benchmark.data.loaders.batches import LoadedBatch, sample_seed
from benchmark.data.loaders.choice import PHOTOGRAPHS, make_loader
from benchmark.data.loaders.draws import Draws, has_twins
from benchmark.data.loaders.photographs import PhotographLoader
from benchmark.data.loaders.resampling import Sides, resample, taps_for, way_of
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.loaders.workers import WorkersLoader, make_compose
from benchmark.data.opening import open_data
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit
from benchmark.errors import UsageError
from benchmark.launch.ray.launcher import VARIABLES
from tests.data.loaders.conftest import COLOURED, Album
from tests.support.small_pictures import Mosaics

MakeCard = Callable[..., Card]
CROP, FLIP, JITTER = COLOURED
NO_HUE = {**JITTER, "hue": 0.0}
CARDS = Path(__file__).resolve().parents[3] / "datasets"


def both(split: ImageSplit, pictures: Pictures, **changes: Any) -> Iterator[tuple[Any, Any]]:
    """Batches of one epoch from the device's loader and from the workers'."""
    options = {"batch_size": 10, "seed": 3, "device": "cpu", "train": True} | changes
    ours = PhotographLoader(split, pictures, **options)
    theirs = WorkersLoader(split, pictures, workers=0, **options)
    return zip(ours.epoch(1), theirs.epoch(1), strict=True)


def differences(pairs: Iterator[tuple[LoadedBatch, LoadedBatch]], std: Any) -> torch.Tensor:
    """How far apart the pixels of the two are, in grey levels."""
    levels = 255 * torch.tensor(std).view(1, 3, 1, 1)
    return torch.cat([((one.images - other.images) * levels).abs() for one, other in pairs])


@settings(deadline=None, max_examples=60)
@given(
    crop=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.integers(1, 40),
    area=st.booleans(),
    mirrored=st.booleans(),
    seed=st.integers(0, 99),
)
def test_no_pixel_is_more_than_one_level_from_opencvs(
    crop: tuple[int, int], size: int, area: bool, mirrored: bool, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*crop, 3), dtype=np.uint8)
    flag = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    expected = np.asarray(cv2.resize(image, (size, size), interpolation=flag))
    expected = expected[:, ::-1] if mirrored else expected
    full = (size, size)
    ways = (way_of(crop, full, area=area),) * 2
    sides = torch.tensor([crop, full, (0, 0), (0, mirrored), ways], dtype=torch.float64)
    taps = taps_for(crop, full)
    padded = torch.full((1, crop[0] + taps, 3, crop[1] + taps), 199.0)
    padded[0, : crop[0], :, : crop[1]] = torch.from_numpy(image).permute(0, 2, 1)
    made = resample(padded, Sides(*sides.unsqueeze(1)), size, taps)[0].permute(0, 2, 1).numpy()
    assert np.abs(made.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("augmentation", "mean", "most"),
    [
        ((CROP,), 0.2, 1),
        ((CROP, FLIP, NO_HUE), 0.3, 6),
        ((NO_HUE, FLIP), 0.3, 6),
        # OpenCV has 180 hues; one more or less is many levels of a glaring colour.
        (COLOURED, 1.0, 30),
    ],
)
def test_the_device_makes_what_the_workers_make(
    make_card: MakeCard, album: ImageSplit, augmentation: Any, mean: float, most: float
) -> None:
    pictures = Pictures.of(make_card(augmentation=augmentation))
    found = differences(both(album, pictures, views=2), pictures.std)
    assert found.mean() < mean
    assert found.max() < most + 1e-3


def test_testing_sees_what_it_sees_from_the_workers(make_card: MakeCard, album: ImageSplit) -> None:
    pictures = Pictures.of(make_card())
    found = differences(both(album, pictures, train=False), pictures.std)
    assert found.mean() < 0.2
    assert found.max() < 1 + 1e-3


def test_photographs_that_were_shrunk_are_tested_bit_for_bit(make_card: MakeCard) -> None:
    pictures = Pictures.of(make_card(image_size=14))  # whose short side is 16 then
    rng = np.random.default_rng(0)
    shapes = [(16, 16), (16, 31), (25, 16)]
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    split = ImageSplit(Album(images), torch.arange(3))
    for one, other in both(split, pictures, train=False):
        assert torch.equal(one.images, other.images)


def test_draws_are_those_of_albumentations(make_card: MakeCard, album: ImageSplit) -> None:
    pictures = Pictures.of(make_card(augmentation=COLOURED))
    draws = Draws(album, pictures, seed=5, train=True)
    compose = make_compose(album, pictures, train=True)
    for position in range(len(album)):
        image = np.asarray(album.images[position])
        for view in range(2):
            seed = sample_seed(5, 2, position, view)
            compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
            compose(image=image)
            crop, flip, jitter = (transform.params for transform in compose.transforms)
            draw = draws.of(*image.shape[:2], epoch=2, position=position, view=view)
            window = draw.window
            right, bottom = window.left + window.width, window.top + window.height
            assert (window.left, window.top, right, bottom) == crop["crop_coords"]
            assert draw.mirrored == bool(flip)
            assert list(draw.colours.order) == jitter["order"]
            names = "brightness", "contrast", "saturation", "hue"
            assert list(draw.colours.factors) == [jitter[name] for name in names]


def test_crops_have_the_areas_shapes_and_places_that_the_card_asks_for(
    make_card: MakeCard,
) -> None:
    augmentation = ({"name": "random_resized_crop", "scale": (0.25, 0.6)}, FLIP)
    pictures = Pictures.of(make_card(augmentation=augmentation))
    draws = Draws(ImageSplit(Album([]), torch.arange(0)), pictures, seed=0, train=True)
    made = [draws.of(900, 1000, epoch=0, position=at, view=0) for at in range(1500)]
    windows = np.array([draw.window[:4] for draw in made], dtype=float)
    top, left, height, width = windows.T
    area, ratio = height * width / 9e5, np.log(width / height)
    assert stats.kstest(area, stats.uniform(0.25, 0.35).cdf).pvalue > 0.001
    low, high = np.log(0.75), np.log(1.3333)
    assert stats.kstest(ratio, stats.uniform(low, high - low).cdf).pvalue > 0.001
    places = top / (900 - height), left / (1000 - width)
    for place in places:
        assert stats.kstest(place, stats.uniform(0, 1).cdf).pvalue > 0.001
    assert stats.spearmanr(*places).pvalue > 0.001
    assert stats.binomtest(sum(draw.mirrored for draw in made), len(made)).pvalue > 0.001


def test_an_image_does_not_depend_on_how_many_are_made_at_once(
    make_card: MakeCard, album: ImageSplit
) -> None:
    pictures = Pictures.of(make_card(augmentation=COLOURED))
    options: dict[str, Any] = {"batch_size": 30, "seed": 0, "device": "cpu", "train": True}
    loader = PhotographLoader(album, pictures, **options)
    (expected,) = loader.epoch(0)
    for at_once in (1, 7, 30):
        loader._at_once = at_once
        (batch,) = loader.epoch(0)
        assert torch.equal(batch.images, expected.images)


def test_loaders_of_the_same_images_share_their_pixels(
    make_card: MakeCard, album: ImageSplit
) -> None:
    device = torch.device("cpu")
    images = Album(album.images.images)  # type: ignore[union-attr]
    first = table.table_of(images, device)
    assert table.table_of(images, device) is first
    assert table.table_of(Album(images.images), device) is not first
    assert table.fits(images, device)
    number = len(table._tables)
    del first
    gc.collect()
    assert len(table._tables) < number


@pytest.mark.parametrize(
    ("augmentation", "told", "kind"),
    [
        (COLOURED, None, WorkersLoader),
        (COLOURED, "workers", WorkersLoader),
        (COLOURED, "device", PhotographLoader),
        ((FLIP,), "device", PhotographLoader),
        ((), "device", PhotographLoader),
        ((FLIP, CROP), "device", WorkersLoader),
        ((CROP, FLIP, FLIP), "device", WorkersLoader),
        ((*COLOURED, {"name": "trivial_augment"}), "device", WorkersLoader),
    ],
)
def test_a_cpu_makes_photographs_ready_when_it_is_told_to(
    make_card: MakeCard,
    album: ImageSplit,
    monkeypatch: pytest.MonkeyPatch,
    augmentation: Any,
    told: str | None,
    kind: type,
) -> None:
    assert PHOTOGRAPHS in VARIABLES
    if told is not None:
        monkeypatch.setenv(PHOTOGRAPHS, told)
    pictures = Pictures.of(make_card(augmentation=augmentation))
    options: dict[str, Any] = {"batch_size": 4, "seed": 0, "device": "cpu", "workers": 0}
    loader = make_loader(album, pictures, train=True, **options)
    assert type(loader) is kind
    assert loader.photographs == ("device" if kind is PhotographLoader else None)
    if not has_twins(pictures):
        with pytest.raises(ValueError, match="augmented on the device"):
            PhotographLoader(album, pictures, batch_size=4, seed=0, device="cpu", train=True)
    testing = make_loader(album, pictures, train=False, **options)
    assert type(testing) is (PhotographLoader if told == "device" else WorkersLoader)


def test_photographs_without_room_go_to_workers(
    make_card: MakeCard, album: ImageSplit, train: Mosaics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PHOTOGRAPHS, "device")
    monkeypatch.setattr(table, "SHARE_OF_FREE", 1e-12)
    options: dict[str, Any] = {"batch_size": 4, "seed": 0, "device": "cpu", "workers": 0}
    pictures = Pictures.of(make_card())
    assert type(make_loader(album, pictures, train=False, **options)) is WorkersLoader
    assert type(make_loader(train.split(), pictures, train=True, **options)) is ResidentLoader


def test_a_wrong_word_for_who_makes_photographs_ready_is_refused(
    make_card: MakeCard, album: ImageSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PHOTOGRAPHS, "gpu")
    with pytest.raises(UsageError, match=r"KDBENCH_PHOTOGRAPHS is 'gpu'\. Set it to 'device'"):
        make_loader(
            album, Pictures.of(make_card()), batch_size=4, seed=0, device="cpu", train=False
        )


class BytesMoved(TorchDispatchMode):
    """Adds up what operations read and write, were nothing of it in a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not func.name().startswith("aten::empty"):
            held = tree_leaves((args, kwargs, result))
            self.bytes += sum(t.nbytes for t in held if isinstance(t, torch.Tensor))
        return result


def test_a_batch_moves_few_bytes(make_card: MakeCard) -> None:
    """Of photographs of 256 x 384 pixels at 224, as those of CUB are kept.

    A GPU that moves 3.35 TB/s (H100) and trains 2,500 images/s has 400 µs for an image; 36 MB take
    2.7 % of that.
    """
    photo = np.zeros((256, 384, 3), dtype=np.uint8)
    split = ImageSplit(Album([photo] * 16), torch.arange(16))
    pictures = Pictures.of(make_card(image_size=224, augmentation=(CROP, FLIP, NO_HUE)))
    loader = PhotographLoader(split, pictures, batch_size=16, seed=0, device="cpu", train=True)
    loader._at_once = 64
    with BytesMoved() as moved:
        list(loader.epoch(0))
    assert 20e6 < moved.bytes / 16 < 36e6


@pytest.mark.realdata
@pytest.mark.parametrize("protocol", ["scratch", "finetune"])
def test_batches_of_birds_have_the_moments_that_they_have_from_workers(
    tmp_path: Path, protocol: str
) -> None:
    card = read_card(CARDS / "cub50.toml")
    pictures = Pictures.of(card, card.protocols[protocol])
    birds = open_data(card, Path(os.environ["KDBENCH_DATA"]), tmp_path).train
    chosen = birds.select(torch.arange(0, 1500, 25))
    for train in (True, False):
        pairs = list(both(chosen, pictures, train=train))
        found = differences(iter(pairs), card.std)
        assert found.mean() < 0.1
        assert found.max() < 6
        ours, theirs = (torch.cat([pair[side].images for pair in pairs]) for side in (0, 1))
        torch.testing.assert_close(ours.mean((0, 2, 3)), theirs.mean((0, 2, 3)), rtol=0, atol=1e-3)
        torch.testing.assert_close(ours.std((0, 2, 3)), theirs.std((0, 2, 3)), rtol=0, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("train", [True, False])
def test_the_device_gives_what_the_cpu_gives(
    make_card: MakeCard, album: ImageSplit, train: bool
) -> None:
    torch.backends.cuda.matmul.fp32_precision = "ieee"  # as make_accelerator has it
    pictures = Pictures.of(make_card(augmentation=COLOURED))
    options: dict[str, Any] = {"batch_size": 8, "seed": 0, "train": train, "views": 2}
    loader = make_loader(album, pictures, device="cuda", **options)
    assert type(loader) is PhotographLoader
    batches = loader.epoch(1)
    made = [next(batches)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        made += batches
    finally:
        torch.cuda.set_sync_debug_mode("default")
    cpu = PhotographLoader(album, pictures, device="cpu", **options)
    for one, other in zip(cpu.epoch(1), made, strict=True):
        torch.testing.assert_close(other.images.cpu(), one.images, rtol=0, atol=1e-6)
        assert torch.equal(other.index.cpu(), one.index)
