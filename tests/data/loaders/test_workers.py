"""The loader with worker processes gives the same images however many workers there are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cards.card import Card, HubSource
from benchmark.data.loaders.batches import LoadedBatch, Normalise
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.opening import load_data
from benchmark.data.pictures import Pictures
from benchmark.data.sources.encoded import open_encoded
from benchmark.data.sources.shards import find_shards
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError
from tests.support.small_pictures import Mosaics, as_file, write_shards

MakeCard = Callable[..., Card]
ALL = (
    {"name": "random_resized_crop", "scale": (0.3, 1.0)},
    {"name": "horizontal_flip"},
    {"name": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
)


def load(split: ImageSplit, card: Card, **changes: Any) -> WorkersLoader:
    options = {"batch_size": 8, "seed": 3, "device": "cpu", "train": True, "workers": 0} | changes
    return WorkersLoader(split, Pictures.of(card), **options)


def by_position(batches: list[LoadedBatch]) -> torch.Tensor:
    """Images in the order of the split."""
    index = torch.cat([batch.index for batch in batches])
    return torch.cat([batch.images for batch in batches])[index.argsort()]


@pytest.fixture
def mixed(make_card: MakeCard, tmp_path: Path, train: Mosaics, test: Mosaics) -> DataSet:
    """Images between 8 and 17 pixels high, and 20 wide."""
    card = make_card(source={"mixed_sizes": True}, augmentation=ALL)
    for split, part in (("train", train), ("test", test)):
        tiled = [np.tile(image, (3, 3, 1)) for image in part.images]
        files = [as_file(image[: 8 + i % 10, :20]) for i, image in enumerate(tiled)]
        write_shards(tmp_path / "trees", split, files, part.labels)
    return load_data(card, tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("workers", [1, 2])
def test_images_do_not_depend_on_the_number_of_workers(mixed: DataSet, workers: int) -> None:
    loader = load(mixed.train, mixed.card, workers=workers)
    alone = load(mixed.train, mixed.card)
    for epoch in (1, 0):
        for one, other in zip(alone.epoch(epoch), loader.epoch(epoch), strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)
            assert torch.equal(one.index, other.index)


def test_images_do_not_depend_on_batch_size_or_processes(
    make_card: MakeCard, train: Mosaics
) -> None:
    card = make_card(augmentation=ALL)
    whole = by_position(list(load(train.split(), card).epoch(2)))
    assert torch.equal(by_position(list(load(train.split(), card, batch_size=5).epoch(2))), whole)
    shares = [b for rank in range(3) for b in load(train.split(), card, shard=(rank, 3)).epoch(2)]
    assert torch.equal(by_position([batch for batch in shares if batch.weight]), whole)


def test_every_image_every_epoch_and_every_seed_has_its_own_choices(
    make_card: MakeCard, train: Mosaics
) -> None:
    card = make_card(augmentation=({"name": "color_jitter", "brightness": 0.9},))
    grey = ImageSplit(torch.full((30, 8, 8, 3), 100, dtype=torch.uint8), train.split().labels)
    levels = [
        by_position(list(load(grey, card, seed=seed).epoch(epoch)))[:, 0, 0, 0]
        for seed, epoch in [(0, 0), (0, 1), (1, 0)]
    ]
    assert len(levels[0].unique()) > 20
    assert not torch.equal(levels[0], levels[1])
    assert not torch.equal(levels[0], levels[2])


def test_order_and_shares_are_those_of_the_resident_loader(card: Card, train: Mosaics) -> None:
    options: dict[str, Any] = {"batch_size": 7, "seed": 5, "device": "cpu", "train": True}
    resident = ResidentLoader(train.split(), Pictures.of(card), shard=(1, 2), **options)
    workers = load(train.split(), card, shard=(1, 2), **options)
    assert len(resident) == len(workers)
    assert resident.images_per_epoch == workers.images_per_epoch
    for one, other in zip(resident.epoch(4), workers.epoch(4), strict=True):
        assert torch.equal(one.index, other.index)
        assert torch.equal(one.labels, other.labels)
        assert (one.weight, one.global_size) == (other.weight, other.global_size)


def test_evaluation_is_that_of_the_resident_loader(card: Card, train: Mosaics) -> None:
    options: dict[str, Any] = {"batch_size": 7, "seed": 5, "device": "cpu", "train": False}
    resident = ResidentLoader(train.split(), Pictures.of(card), **options)
    for one, other in zip(
        resident.epoch(0), load(train.split(), card, **options).epoch(0), strict=True
    ):
        assert torch.equal(one.images, other.images)
        assert other.images.is_contiguous(memory_format=torch.channels_last)


def test_images_of_other_sizes_are_fitted_around_their_centre(make_card: MakeCard) -> None:
    picture = np.zeros((1, 9, 18, 3), dtype=np.uint8)
    picture[:, :, 9:] = 255
    split = ImageSplit(torch.from_numpy(picture), torch.zeros(1, dtype=torch.int64))
    (batch,) = load(split, make_card(), train=False).epoch(0)
    assert batch.images.shape == (1, 3, 8, 8)
    left, right = batch.images[0, 0, :, :4], batch.images[0, 0, :, 4:]
    assert (left < 0).all()
    assert (right > 0).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_random_state_is_not_touched(mixed: DataSet, workers: int) -> None:
    before = torch.get_rng_state(), random.getstate()
    list(load(mixed.train, mixed.card, workers=workers).epoch(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_an_epoch_that_was_left_can_be_begun_again(card: Card, train: Mosaics) -> None:
    loader = load(train.split(), card, workers=1)
    left = loader.epoch(0)
    next(left)
    left.close()
    assert torch.equal(
        by_position(list(loader.epoch(1))), by_position(list(load(train.split(), card).epoch(1)))
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_decoded_is_one_short_error(
    make_card: MakeCard, tmp_path: Path, train: Mosaics, test: Mosaics, workers: int
) -> None:
    card = make_card(source={"mixed_sizes": True})
    files = [as_file(image) for image in train.images]
    files[7] = b"no picture"
    write_shards(tmp_path / "trees", "train", files, train.labels)
    write_shards(tmp_path / "trees", "test", list(map(as_file, test.images)), test.labels)
    with pytest.raises(DataError, match="row 7: the image cannot be decoded"):
        load_data(card, tmp_path, tmp_path / "cache")
    assert isinstance(card.source, HubSource)
    shards = find_shards([tmp_path / "trees"], card.source)
    assert shards is not None
    encoded = open_encoded(shards, card.source)
    with pytest.raises(DataError, match="row 7: the image cannot be decoded") as caught:
        list(load(encoded["train"], card, workers=workers).epoch(0))
    assert "Traceback" not in str(caught.value)


def test_large_batches_are_normalised_like_small_ones() -> None:
    pixels = torch.randint(0, 256, (40, 96, 96, 3), dtype=torch.uint8)
    normalise = Normalise((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), size=96, device=torch.device("cpu"))
    whole = normalise(pixels)
    assert torch.equal(whole, torch.cat([normalise(pixels[i : i + 2]) for i in range(0, 40, 2)]))
    assert whole.is_contiguous(memory_format=torch.channels_last)
    whole += 1  # it may be written to
    assert torch.equal(whole, normalise(pixels) + 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_views_differ_and_the_first_is_the_only_one_of_one(mixed: DataSet, workers: int) -> None:
    one = load(mixed.train, mixed.card, workers=workers)
    three = load(mixed.train, mixed.card, workers=workers, views=3)
    alone = load(mixed.train, mixed.card, views=3)
    for epoch in (1, 0):
        for single, several, slow in zip(
            one.epoch(epoch), three.epoch(epoch), alone.epoch(epoch), strict=True
        ):
            assert single.views == ()
            assert torch.equal(several.images, single.images)
            assert torch.equal(several.index, single.index)
            views = (several.images, *several.views)
            for a, b in ((0, 1), (0, 2), (1, 2)):
                assert not torch.equal(views[a], views[b])
            for view, expected in zip(several.views, slow.views, strict=True):
                assert torch.equal(view, expected), "whatever the number of workers"


def test_views_do_not_depend_on_batch_size_or_processes(
    make_card: MakeCard, train: Mosaics
) -> None:
    def second(**changes: Any) -> torch.Tensor:
        shards = changes.pop("shards", 1)
        loaders = [
            load(train.split(), make_card(augmentation=ALL), views=2, shard=(n, shards), **changes)
            for n in range(shards)
        ]
        batches = [b for loader in loaders for b in loader.epoch(1) if b.weight]
        index = torch.cat([batch.index for batch in batches])
        return torch.cat([batch.views[0] for batch in batches])[index.argsort()]

    assert torch.equal(second(batch_size=5), second())
    assert torch.equal(second(shards=3), second())


class Counted:
    """Images that count how often one is read."""

    def __init__(self, images: Any) -> None:
        self.images, self.reads = images, 0

    def __getitem__(self, position: int) -> Any:
        self.reads += 1
        return self.images[position]

    def __len__(self) -> int:
        return len(self.images)


def test_an_epoch_may_begin_at_any_batch_and_reads_no_more(mixed: DataSet) -> None:
    images = Counted(mixed.train.images)
    loader = load(replace(mixed.train, images=images), mixed.card)
    whole = list(loader.epoch(1))
    sizes = [len(batch.index) for batch in whole]
    for first in range(len(whole) + 1):
        images.reads = 0
        rest = list(loader.epoch(1, first=first))
        assert images.reads == sum(sizes[first:])
        for one, other in zip(whole[first:], rest, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.index, other.index)


def test_an_epoch_may_be_left_at_any_batch(mixed: DataSet) -> None:
    loader = load(mixed.train, mixed.card, workers=2)
    whole = by_position(list(loader.epoch(0)))
    for left in range(1, len(loader)):
        batches = loader.epoch(1)
        for _ in range(left):
            next(batches)
        batches.close()
        assert torch.equal(by_position(list(loader.epoch(0))), whole)
