"""Smoothing, mixup and CutMix, against slow versions and the laws of their definitions."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from benchmark.recipe.mixing import Mixed, distributions_of, mix

B, K, S = 6, 5, 16


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(B, 3, S, S + 2).to(memory_format=torch.channels_last)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 0])


def mixed(images: Tensor, labels: Tensor, seed: int, **alpha: float) -> Mixed:
    asked = {"mixup": 0.0, "cutmix": 0.0} | alpha
    return mix(images, labels, K, generator=torch.Generator().manual_seed(seed), **asked)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothed_labels_give_the_loss_of_torchs_smoothing(
    labels: Tensor, smoothing: float
) -> None:
    logits = torch.randn(B, K)
    torch.testing.assert_close(
        F.cross_entropy(logits, distributions_of(labels, K, smoothing)),
        F.cross_entropy(logits, labels, label_smoothing=smoothing),
    )


def test_distributions_may_be_smoothed_again(labels: Tensor) -> None:
    once = distributions_of(labels, K, 0.1)
    torch.testing.assert_close(distributions_of(once, K, 0.2), 0.8 * once + 0.2 / K)
    assert torch.equal(distributions_of(once, K), once)


def test_mixup_adds_images_and_labels_at_one_share(images: Tensor, labels: Tensor) -> None:
    for seed in range(5):
        batch = mixed(images, labels, seed, mixup=0.7)
        own = batch.share[0].item()
        for i, j in enumerate(batch.partner.tolist()):
            torch.testing.assert_close(batch.images[i], own * images[i] + (1 - own) * images[j])
            expected = torch.zeros(K)
            expected[labels[i]] += own
            expected[labels[j]] += 1 - own
            torch.testing.assert_close(batch.distributions[i], expected)


def test_cutmix_puts_a_rectangle_of_the_partner_into_the_image(
    images: Tensor, labels: Tensor
) -> None:
    for seed in range(20):
        batch = mixed(images, labels, seed, cutmix=1.0)
        own = batch.share[0].item()
        for i, j in enumerate(batch.partner.tolist()):
            if i == j:
                assert torch.equal(batch.images[i], images[i])
                continue
            foreign = (batch.images[i] != images[i]).all(0)
            assert torch.equal(batch.images[i][:, foreign], images[j][:, foreign])
            assert torch.equal(batch.images[i][:, ~foreign], images[i][:, ~foreign])
            rows, columns = foreign.any(1), foreign.any(0)
            assert torch.equal(foreign, rows[:, None] & columns)  # one rectangle
            assert foreign.float().mean().item() == pytest.approx(1 - own, abs=1e-6)
            assert batch.distributions[i, labels[j]] >= 1 - own - 1e-6


def test_the_share_is_drawn_from_its_beta_distribution(images: Tensor, labels: Tensor) -> None:
    shares = [mixed(images, labels, seed, mixup=0.4).share[0].item() for seed in range(600)]
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_with_both_a_coin_decides_for_the_batch(images: Tensor, labels: Tensor) -> None:
    def cut(seed: int) -> bool:
        batch = mixed(images, labels, seed, mixup=1.0, cutmix=1.0)
        values = images.flatten(2)
        kept = torch.isin(batch.images.flatten(), values.flatten())
        return bool(kept.all())

    cuts = sum(cut(seed) for seed in range(300))
    assert stats.binomtest(cuts, 300, 0.5).pvalue > 1e-3


def test_equal_generators_mix_alike_and_nothing_else_is_drawn(
    images: Tensor, labels: Tensor
) -> None:
    before, old = torch.get_rng_state(), images.clone()
    one, other = (mixed(images, labels, 3, mixup=1.0, cutmix=1.0) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one.images, mixed(images, labels, 4, mixup=1.0, cutmix=1.0).images)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, old)


@pytest.mark.parametrize("alpha", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_distributions_are_mixed_like_labels_and_the_layout_stays(
    images: Tensor, labels: Tensor, alpha: dict[str, float]
) -> None:
    plain = mixed(images, labels, 1, **alpha)
    smooth = mixed(images, distributions_of(labels, K, 0.1), 1, **alpha)
    torch.testing.assert_close(smooth.distributions, 0.9 * plain.distributions + 0.1 / K)
    torch.testing.assert_close(plain.distributions.sum(1), torch.ones(B))
    assert torch.equal(smooth.images, plain.images)
    assert plain.images.is_contiguous(memory_format=torch.channels_last)
    assert sorted(plain.partner.tolist()) == list(range(B))


def test_mixing_at_nothing_is_refused(images: Tensor, labels: Tensor) -> None:
    with pytest.raises(ValueError, match="mixup or cutmix must be above 0"):
        mixed(images, labels, 0)
