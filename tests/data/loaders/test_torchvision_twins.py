"""RandAugment, TrivialAugment and random erasing: torchvision's own, drawn for every sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.transforms import v2

from benchmark.cards.card import Card
from benchmark.cards.protocol import Protocol
from benchmark.data.loaders.batches import LoadedBatch, stable_seed
from benchmark.data.loaders.choice import make_loader
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit
from tests.support.small_pictures import Mosaics

MakeCard = Callable[..., Card]
THREE = (
    {"name": "trivial_augment"},
    {"name": "rand_augment", "layers": 3, "magnitude": 12},
    {"name": "random_erasing", "p": 0.5},
)


def load(split: ImageSplit, card: Card, **changes: Any) -> WorkersLoader:
    options = {"batch_size": 8, "seed": 3, "device": "cpu", "train": True, "workers": 0} | changes
    return WorkersLoader(split, Pictures.of(card), **options)


def by_position(batches: list[LoadedBatch]) -> torch.Tensor:
    """Images in the order of the split."""
    index = torch.cat([batch.index for batch in batches])
    return torch.cat([batch.images for batch in batches])[index.argsort()]


def pixels(images: torch.Tensor, card: Card) -> np.ndarray[Any, Any]:
    """Bytes (N, H, W, 3) of normalised images."""
    values = images.permute(0, 2, 3, 1).numpy() * np.array(card.std) + np.array(card.mean)
    return np.rint(values * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("written", "transform"),
    [
        (
            {"name": "rand_augment", "layers": 3, "magnitude": 12},
            v2.RandAugment(3, 12, interpolation=v2.InterpolationMode.BILINEAR),
        ),
        (
            {"name": "trivial_augment"},
            v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR),
        ),
    ],
    ids=["rand_augment", "trivial_augment"],
)
def test_a_sample_is_what_torchvision_makes_of_it_from_the_samples_own_seed(
    make_card: MakeCard, train: Mosaics, written: dict[str, Any], transform: v2.Transform
) -> None:
    card, split = make_card(augmentation=(written,)), train.split()
    loaded = pixels(by_position(list(load(split, card).epoch(2))), card)
    assert isinstance(split.images, torch.Tensor)
    for position, image in enumerate(split.images):
        with torch.random.fork_rng():
            torch.manual_seed(stable_seed(3, 2, "augment", position))
            expected = np.asarray(transform(Image.fromarray(image.numpy())))
        assert np.array_equal(loaded[position], expected)
    assert not np.array_equal(loaded, split.images.numpy())


def test_what_is_erased_is_zero_and_of_the_asked_share(make_card: MakeCard) -> None:
    card = make_card(
        image_size=20, augmentation=({"name": "random_erasing", "p": 0.4, "scale": (0.1, 0.2)},)
    )
    white = ImageSplit(
        torch.full((400, 20, 20, 3), 255, dtype=torch.uint8), torch.zeros(400, dtype=torch.int64)
    )
    images = by_position(list(load(white, card).epoch(0)))
    gone = images[:, 0] < images.max() / 2
    erased = gone.flatten(1).any(1)
    assert stats.binomtest(int(erased.sum()), 400, 0.4).pvalue > 1e-3
    assert images[erased][gone[erased][:, None].expand(-1, 3, -1, -1)].abs().max() < 0.02
    area = gone[erased].float().mean((1, 2))
    assert area.min() > 0.07
    assert area.max() < 0.23
    assert area.std() > 0.01


@pytest.mark.parametrize("workers", [1, 2])
def test_images_do_not_depend_on_the_number_of_workers(
    make_card: MakeCard, train: Mosaics, workers: int
) -> None:
    card = make_card(augmentation=THREE)
    loader, alone = load(train.split(), card, workers=workers), load(train.split(), card)
    for epoch in (1, 0):
        assert torch.equal(
            by_position(list(loader.epoch(epoch))), by_position(list(alone.epoch(epoch)))
        )


def test_images_do_not_depend_on_batch_size_or_processes(
    make_card: MakeCard, train: Mosaics
) -> None:
    card = make_card(augmentation=THREE)
    whole = by_position(list(load(train.split(), card).epoch(2)))
    assert torch.equal(by_position(list(load(train.split(), card, batch_size=5).epoch(2))), whole)
    shares = [b for rank in range(3) for b in load(train.split(), card, shard=(rank, 3)).epoch(2)]
    assert torch.equal(by_position([batch for batch in shares if batch.weight]), whole)
    assert not torch.equal(by_position(list(load(train.split(), card).epoch(3))), whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_random_state_is_not_touched(
    make_card: MakeCard, train: Mosaics, workers: int
) -> None:
    before = torch.get_rng_state()
    list(load(train.split(), make_card(augmentation=THREE), workers=workers).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_protocols_transforms_come_after_the_cards(card: Card, train: Mosaics) -> None:
    protocol = Protocol(
        name="p", epochs=1, batch_size=8, lr=0.1, augmentation=({"name": "trivial_augment"},)
    )
    changed = Pictures.of(card, protocol)
    assert [transform.name for transform in changed.augmentation] == [
        "random_crop",
        "horizontal_flip",
        "trivial_augment",
    ]
    loader = make_loader(train.split(), changed, batch_size=8, seed=0, device="cpu", train=True)
    assert isinstance(loader, WorkersLoader)
