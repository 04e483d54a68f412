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


def test_an_epoch_holds_every_image_once(load: Load, train: Mosaics) -> None:
    loader = load()
    batches = list(loader.epoch(0))
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(30))
    assert torch.equal(
        torch.cat([b.labels for b in batches]), torch.from_numpy(train.labels)[index]
    )
    assert [batch.global_size for batch in batches] == [8, 8, 8, 6]
    assert len(loader) == 4
    assert loader.images_per_epoch == 30


def test_images_are_channels_last_float32(load: Load) -> None:
    for batch in load(batch_size=30).epoch(0):
        assert batch.images.shape == (30, 3, 8, 8)
        assert batch.images.dtype == torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_epochs_and_seeds_differ_and_repeat(load: Load) -> None:
    def orders(seed: int, epoch: int) -> list[int]:
        return torch.cat([batch.index for batch in load(seed=seed).epoch(epoch)]).tolist()

    assert orders(3, 0) == orders(3, 0)
    assert len({tuple(orders(seed, epoch)) for seed in (3, 4) for epoch in (0, 1)}) == 4
    first, other = list(load().epoch(0)), list(load().epoch(1))
    assert not torch.equal(by_position(first), by_position(other))


def test_a_later_epoch_does_not_depend_on_the_earlier_ones(load: Load) -> None:
    loader = load()
    for epoch in range(3):
        list(loader.epoch(epoch))
    assert torch.equal(by_position(list(loader.epoch(3))), by_position(list(load().epoch(3))))


def test_an_image_does_not_depend_on_batch_size_or_processes(load: Load) -> None:
    whole = by_position(list(load().epoch(2)))
    assert torch.equal(by_position(list(load(batch_size=5).epoch(2))), whole)
    shares = [batch for rank in range(3) for batch in load(shard=(rank, 3)).epoch(2)]
    assert torch.equal(by_position([batch for batch in shares if batch.weight]), whole)


def test_shares_in_order_of_the_processes_are_the_batch(load: Load) -> None:
    processes = [load(batch_size=7, shard=(rank, 3)).epoch(1) for rank in range(3)]
    for batch, *shares in zip(load(batch_size=7).epoch(1), *processes, strict=True):
        real = [share.index for share in shares if share.weight]
        assert torch.equal(torch.cat(real), batch.index)


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


@pytest.mark.parametrize("augmented", [True, False])
def test_the_first_of_several_views_is_the_only_one_of_one(load: Load, augmented: bool) -> None:
    for one, several in zip(
        load(train=augmented).epoch(2), load(train=augmented, views=3).epoch(2), strict=True
    ):
        assert one.views == ()
        assert torch.equal(several.images, one.images)
        assert torch.equal(several.index, one.index)
        assert [view.shape for view in several.views] == [one.images.shape] * 2


def test_every_view_has_its_own_choices(load: Load) -> None:
    def view(number: int, **changes: int) -> torch.Tensor:
        batches = load(views=3, seed=changes.get("seed", 3)).epoch(changes.get("epoch", 0))
        return torch.cat([(b.images, *b.views)[number][b.index.argsort()] for b in batches])

    drawn = [view(number) for number in range(3)]
    assert not any(torch.equal(drawn[a], drawn[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert torch.equal(view(2), drawn[2])
    assert not torch.equal(view(1, epoch=1), drawn[1])
    assert not torch.equal(view(1, seed=4), drawn[1])


def test_views_do_not_depend_on_their_number_on_batch_size_or_processes(load: Load) -> None:
    def second(batches: list[LoadedBatch]) -> torch.Tensor:
        index = torch.cat([batch.index for batch in batches if batch.weight])
        return torch.cat([b.views[0] for b in batches if b.weight])[index.argsort()]

    whole = second(list(load(views=2).epoch(1)))
    assert torch.equal(second(list(load(views=4).epoch(1))), whole)
    assert torch.equal(second(list(load(views=2, batch_size=5).epoch(1))), whole)
    shares = [b for rank in range(3) for b in load(views=2, shard=(rank, 3)).epoch(1)]
    assert torch.equal(second(shares), whole)


@pytest.mark.parametrize("shuffled", [True, False])
def test_an_epoch_may_begin_at_any_batch(load: Load, shuffled: bool) -> None:
    for views in (1, 2):
        loader = load(batch_size=4, train=shuffled, views=views)
        whole = list(loader.epoch(1))
        for first in range(len(whole) + 1):
            rest = list(loader.epoch(1, first=first))
            assert len(rest) == len(whole) - first
            for one, other in zip(whole[first:], rest, strict=True):
                assert torch.equal(one.images, other.images)
                assert torch.equal(one.index, other.index)
