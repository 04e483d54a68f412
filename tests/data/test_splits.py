"""A part of the training set is held out, the same share of every class."""

from __future__ import annotations

import pytest
import torch

from benchmark.data.splits import ImageSplit, hold_out
from benchmark.errors import UsageError
from tests.support.small_pictures import Mosaics


def test_a_held_out_part_has_the_same_share_of_every_class() -> None:
    labels = torch.tensor([0] * 40 + [1] * 20 + [2] * 10 + [3])
    images = torch.arange(71, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    kept, held = hold_out(ImageSplit(images, labels), 0.2, seed=0)
    assert held.labels.bincount(minlength=4).tolist() == [8, 4, 2, 0]
    assert kept.labels.bincount(minlength=4).tolist() == [32, 16, 8, 1]
    for part in (kept, held):
        assert isinstance(part.images, torch.Tensor)
        assert torch.equal(labels[part.images[:, 0, 0, 0].long()], part.labels)
    whole = torch.cat([kept.images[:, 0, 0, 0], held.images[:, 0, 0, 0]])  # type: ignore[index, list-item]
    assert sorted(whole.tolist()) == list(range(71))


def test_a_held_out_part_depends_on_the_seed_alone(train: Mosaics) -> None:
    def held(seed: int) -> torch.Tensor:
        images = hold_out(train.split(), 0.3, seed)[1].images
        assert isinstance(images, torch.Tensor)
        return images

    assert torch.equal(held(1), held(1))
    assert not torch.equal(held(1), held(2))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 0.001])
def test_a_share_that_holds_out_nothing_is_refused(train: Mosaics, share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        hold_out(train.split(), share, seed=0)
