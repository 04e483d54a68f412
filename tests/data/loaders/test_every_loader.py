"""What every loader promises: its batches depend on nothing but what they should."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmark.data.loaders.batches import LoadedBatch, Loader

Load = Callable[..., Loader]


def by_position(batches: list[LoadedBatch]) -> torch.Tensor:
    """Images in the order of the split."""
    index = torch.cat([batch.index for batch in batches])
    images = torch.cat([batch.images for batch in batches])
    return images[index.argsort()]


def test_an_epoch_holds_every_image_once(load: Load) -> None:
    loader = load()
    batches = list(loader.epoch(0))
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(30))
    assert torch.equal(torch.cat([b.labels for b in batches]), index % 4)
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
