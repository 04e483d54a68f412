"""The resident loader: order, augmentation and shares depend on nothing but what they should."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cards.card import Card
from benchmark.data.loaders.augmentation import ResidentAugmentation
from benchmark.data.loaders.batches import LoadedBatch, chunks_of_epoch, epoch_order, stable_seed
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.pictures import Pictures
from tests.support.small_pictures import Mosaics

Load = Callable[..., ResidentLoader]


@pytest.fixture
def load(card: Card, train: Mosaics) -> Load:
    def make(**changes: object) -> ResidentLoader:
        options = {"batch_size": 8, "seed": 3, "device": "cpu", "train": True} | changes
        return ResidentLoader(train.split(), Pictures.of(card), **options)  # type: ignore[arg-type]

    return make


def by_position(batches: list[LoadedBatch]) -> torch.Tensor:
    """Images in the order of the split."""
    index = torch.cat([batch.index for batch in batches])
    images = torch.cat([batch.images for batch in batches])
    return images[index.argsort()]


def test_several_batches_at_once_are_the_same_batches(load: Load) -> None:
    loader = load(shard=(1, 2))
    one_by_one = list(loader.epoch(4))
    loader._batches_at_once = 3
    for one, other in zip(one_by_one, loader.epoch(4), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.index, other.index)
        assert one.weight == other.weight


def test_evaluation_sees_the_images_as_they_are(load: Load, card: Card, train: Mosaics) -> None:
    batches = list(load(train=False).epoch(0))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(30))
    expected = (train.images / 255 - card.mean) / card.std
    np.testing.assert_allclose(
        by_position(batches).permute(0, 2, 3, 1).numpy(), expected, rtol=0, atol=1e-6
    )


def test_every_image_is_a_crop_of_the_padded_one(load: Load, card: Card, train: Mosaics) -> None:
    padded = np.pad(train.images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    images = by_position(list(load().epoch(5))).permute(0, 2, 3, 1).numpy()
    pixels = np.rint((images * card.std + card.mean) * 255).astype(np.uint8)
    augmentation = ResidentAugmentation.of(Pictures.of(card))
    assert augmentation is not None
    choices = augmentation.draw(30, seed=3, epoch=5)
    for position in range(30):
        top, left = int(choices.top[position]), int(choices.left[position])
        crop = padded[position, top : top + 8, left : left + 8]
        expected = crop[:, ::-1] if choices.mirrored[position] else crop
        np.testing.assert_array_equal(pixels[position], expected)


@settings(deadline=None)
@given(
    images=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    world=st.integers(1, 8),
)
def test_weighted_means_of_shares_average_to_the_mean_of_the_batch(
    images: int, batch_size: int, world: int
) -> None:
    values = torch.rand(images, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cuts = [
        chunks_of_epoch(images, batch_size=batch_size, shard=(rank, world)) for rank in range(world)
    ]
    for number, shares in enumerate(zip(*cuts, strict=True)):
        batch = values[number * batch_size : (number + 1) * batch_size]
        means = [share.weight * values[share.start : share.stop].mean() for share in shares]
        torch.testing.assert_close(torch.stack(means).mean(), batch.mean())
        sizes = [len(share) for share in shares]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert sum(len(share) for share in shares if share.weight) == len(batch)


def test_a_process_outside_the_group_is_refused() -> None:
    with pytest.raises(ValueError, match="no process 2 among 2"):
        chunks_of_epoch(10, batch_size=4, shard=(2, 2))


def test_seeds_and_orders_never_change() -> None:
    assert stable_seed(0, 1, "order") == 7525915795688132538
    assert stable_seed(1, 2) != stable_seed(12, "")
    assert epoch_order(10, seed=0, epoch=1).tolist() == [9, 6, 0, 3, 1, 8, 2, 4, 5, 7]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_gives_what_the_cpu_gives(load: Load) -> None:
    loader = load(device="cuda")
    loader._batches_at_once = 2
    on_device = loader.epoch(1)
    batches = [next(on_device)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        batches += on_device
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for cpu, cuda in zip(load().epoch(1), batches, strict=True):
        torch.testing.assert_close(cuda.images.cpu(), cpu.images, rtol=0, atol=1e-6)
        assert torch.equal(cuda.index.cpu(), cpu.index)
