"""What recipes make of a batch: shared by those who ask for the same, and only by them."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from benchmark import Batch, mixed, rotated, stacked
from benchmark.recipe.batch import Shelf

B, K = 4, 5


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(0)
    first, *views = (torch.randn(B, 3, 8, 8) for _ in range(3))
    return Batch(first, torch.tensor([0, 1, 2, 4]), torch.arange(B), 0.0, tuple(views), K, draw=9)


def test_stacked_puts_view_behind_view(batch: Batch) -> None:
    both = stacked(batch)
    for number, view in enumerate((batch.images, *batch.views)):
        rows = slice(number * B, (number + 1) * B)
        assert torch.equal(both.images[rows], view)
        assert torch.equal(both.labels[rows], batch.labels)
        assert torch.equal(both.index[rows], batch.index)
    assert both.views == ()


def test_distributions_are_stacked_and_turned_too(batch: Batch) -> None:
    soft = replace(batch, labels=torch.rand(B, K))
    assert torch.equal(stacked(soft).labels, soft.labels.repeat(3, 1))
    assert torch.equal(rotated(soft).labels, soft.labels.repeat(4, 1))


def test_rotated_turns_by_quarters(batch: Batch) -> None:
    turned = rotated(batch).images.split(B)
    image = batch.images[0, 0]
    for turn in range(4):
        assert torch.equal(turned[turn][0, 0], torch.rot90(image, turn))


def test_all_views_are_mixed_alike(batch: Batch) -> None:
    same = replace(batch, views=(batch.images, batch.images))
    one = mixed(same, mixup=1.0)
    assert all(torch.equal(view, one.images) for view in one.views)
    assert not torch.equal(one.images, batch.images)
    torch.testing.assert_close(one.labels.sum(dim=1), torch.ones(B))


def test_a_step_of_another_draw_is_mixed_otherwise(batch: Batch) -> None:
    other = replace(batch, draw=10, shared=Shelf())
    assert not torch.equal(mixed(batch, mixup=1.0).images, mixed(other, mixup=1.0).images)


def test_those_who_ask_for_the_same_get_the_same_object(batch: Batch) -> None:
    later = replace(batch, progress=0.5)
    for view in (stacked, rotated, lambda b: mixed(b, cutmix=1.0)):
        one, other = view(batch), view(later)
        assert one.images is other.images
        assert (one.progress, other.progress) == (0.0, 0.5)
    assert mixed(batch, mixup=1.0).images is not mixed(batch, mixup=0.5).images


def test_a_view_of_a_view_is_another_one(batch: Batch) -> None:
    plain, of_mixed = stacked(batch), stacked(mixed(batch, mixup=1.0))
    assert not torch.equal(plain.images, of_mixed.images)
    assert stacked(mixed(batch, mixup=1.0)).images is of_mixed.images
    fewer = stacked(replace(batch, views=batch.views[:1]))
    assert len(fewer.images) == 2 * B


def test_the_images_of_a_step_are_not_left_to_the_garbage_collector(batch: Batch) -> None:
    batch = replace(batch, images=batch.images.clone(), shared=Shelf())
    gc.disable()
    try:
        made = [weakref.ref(view(batch).images) for view in (stacked, rotated)]
        own = weakref.ref(batch.images)
        assert all(ref() is not None for ref in made), "kept while the batch is"
        del batch
        assert [ref() for ref in (own, *made)] == [None] * 3
    finally:
        gc.enable()
