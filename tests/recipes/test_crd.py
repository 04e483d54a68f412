"""CRD: three published steps, the slow twin, the banks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark import Context
from benchmark.errors import RecipeError
from benchmark.networks.outputs import NetworkShape
from benchmark.recipe.discovery import load_recipes

LOSSES = Path(__file__).parent.parent / "fixtures" / "losses.npz"
SIDES = {"student": "s", "teacher": "t"}


@pytest.fixture(scope="module")
def crd(recipe_module: Callable[[str], ModuleType]) -> ModuleType:
    return recipe_module("crd")


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    with np.load(LOSSES) as file:
        return {
            key.removeprefix("crd/"): torch.from_numpy(np.asarray(file[key]))
            for key in file.files
            if key.startswith("crd/")
        }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_three_published_steps(
    crd: ModuleType, published: dict[str, Tensor], dtype: torch.dtype
) -> None:
    loss_of = crd.ContrastiveLoss(12, 16, 40, feature_dim=6, negatives=24)
    load_published(loss_of, published)
    loss_of.to(dtype)
    for step in range(3):
        at = {
            key.removeprefix(f"step{step}."): value
            for key, value in published.items()
            if key.startswith(f"step{step}.")
        }
        embed_s = at["embed_s"].to(dtype, copy=True).requires_grad_()
        loss_of.zero_grad()
        loss = loss_of(embed_s, at["embed_t"].to(dtype), at["index"], at["negatives"])
        loss.backward()
        assert loss.item() == pytest.approx(at["loss"].item(), rel=1e-5)
        assert_near(embed_s.grad, at["grad.embed_s"])
        for side, short in SIDES.items():
            weight = getattr(loss_of, f"{side}_embed").weight
            assert_near(weight.grad, at[f"grad.param.embed_{short}.weight"])
            bank = getattr(loss_of, f"{side}_bank")
            assert_near(bank, published[f"memory_{short}.{step + 1}"])
        assert_near(loss_of.z, at["Z"])


def load_published(loss_of: Any, published: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for side, short in SIDES.items():
            embed = getattr(loss_of, f"{side}_embed")
            embed.weight.copy_(published[f"param.embed_{short}.weight"])
            embed.bias.copy_(published[f"param.embed_{short}.bias"])
            getattr(loss_of, f"{side}_bank").copy_(published[f"memory_{short}.0"])


def assert_near(got: Tensor, expected: Tensor) -> None:
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()


def slow_twin(loss_of: Any, embed_s: Tensor, embed_t: Tensor, columns: Tensor) -> Tensor:
    """The equation as it stands: rows of the banks, one product each, probabilities, logarithms."""
    n_data, negatives = len(loss_of.student_bank), columns.shape[1] - 1
    noise = negatives / n_data
    total = torch.zeros((), dtype=embed_s.dtype)
    for embed, bank, features in (
        (loss_of.student_embed, loss_of.teacher_bank, embed_s),
        (loss_of.teacher_embed, loss_of.student_bank, embed_t),
    ):
        views = F.normalize(embed(features), dim=1)
        odds = torch.einsum("bd,bkd->bk", views, bank[columns]).div(loss_of.temperature).exp()
        p = odds / (odds.mean() * n_data).detach()
        positive, negative = p[:, 0], p[:, 1:]
        log_d1 = (positive / (positive + noise + 1e-7)).log()
        log_d0 = (noise / (negative + noise + 1e-7)).log()
        total = total - (log_d1.sum() + log_d0.sum()) / len(columns)
    return total


@pytest.mark.parametrize("temperature", [0.02, 0.07, 1.0])
def test_fast_equals_slow(crd: ModuleType, temperature: float) -> None:
    torch.manual_seed(0)
    fast = crd.ContrastiveLoss(5, 7, 90, 8, negatives=200, temperature=temperature).double()
    inputs = [torch.randn(6, width, dtype=torch.float64, requires_grad=True) for width in (5, 7)]
    index, negatives = torch.randperm(90)[:6], torch.randint(90, (6, 200))  # some drawn twice
    watched = [*inputs, *fast.parameters()]

    slow = slow_twin(fast, *inputs, torch.cat([index[:, None], negatives], dim=1))
    expected = torch.autograd.grad(slow, watched)
    loss = fast(*inputs, index, negatives)

    torch.testing.assert_close(loss, slow, rtol=1e-9, atol=0)
    for got, wanted in zip(torch.autograd.grad(loss, watched), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-7, atol=1e-12)


def test_it_stays_finite_where_the_views_are_opposite(crd: ModuleType) -> None:
    loss_of = crd.ContrastiveLoss(4, 4, 10, 4, negatives=3, temperature=0.02)
    with torch.no_grad():
        for embed in (loss_of.student_embed, loss_of.teacher_embed):
            embed.weight.copy_(torch.eye(4))
            embed.bias.zero_()
    view = torch.eye(4)[:1].requires_grad_()
    index, negatives = torch.tensor([0]), torch.tensor([[1, 2, 3]])
    loss_of(view, view.detach(), index, negatives)  # fixes Z
    for bank in (loss_of.student_bank, loss_of.teacher_bank):
        bank.copy_(F.normalize(torch.randn(10, 4), dim=1))
        bank[0], bank[1:4] = -view[0], view[0]
    loss = loss_of(view, view.detach(), index, negatives)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(view.grad).all()


def test_the_first_batch_fixes_z_for_good(crd: ModuleType) -> None:
    loss_of = crd.ContrastiveLoss(4, 4, 20, 4, negatives=5)
    assert not loss_of.z_is_fixed
    seen = []
    for _ in range(3):
        index, negatives = torch.randperm(20)[:3], torch.randint(20, (3, 5))
        loss_of(torch.randn(3, 4), torch.randn(3, 4), index, negatives)
        seen.append(loss_of.z.clone())
    assert loss_of.z_is_fixed
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


@given(momentum=st.floats(0, 0.99), scale=st.floats(1e-3, 1e3))
def test_rows_of_the_batch_move_and_have_unit_length(
    crd: ModuleType, momentum: float, scale: float
) -> None:
    loss_of = crd.ContrastiveLoss(4, 4, 20, 4, negatives=5, momentum=momentum)
    before = loss_of.student_bank.clone()
    index, negatives = torch.tensor([3, 7, 11]), torch.randint(20, (3, 5))
    loss_of(torch.randn(3, 4) * scale, torch.randn(3, 4) * scale, index, negatives)
    for bank in (loss_of.student_bank, loss_of.teacher_bank):
        torch.testing.assert_close(bank[index].norm(dim=1), torch.ones(3))
    rest = torch.ones(20, dtype=torch.bool)
    rest[index] = False
    assert torch.equal(loss_of.student_bank[rest], before[rest])


def test_as_many_negatives_as_exist() -> None:
    labels = torch.tensor([0] * 30 + [1] * 10 + [2] * 5)
    shape = NetworkShape(classes=3, embedding_dim=4, stage_shapes=(), feature_shape=(4, 1, 1))
    for asked, given_out in ((16384, 15), (10, 10)):
        recipe = load_recipes().get("crd").cls(negatives=asked)
        recipe.build(Context(shape, shape, labels))
        assert recipe.contrast.negatives == given_out


def test_one_class_has_no_negatives() -> None:
    """It is known only from the labels: a card cannot say that a class has all the images."""
    shape = NetworkShape(classes=3, embedding_dim=4, stage_shapes=(), feature_shape=(4, 1, 1))
    context = Context(shape, shape, torch.zeros(9, dtype=torch.int64))
    with pytest.raises(RecipeError, match="all training images are of one class"):
        load_recipes().get("crd").cls().build(context)


def test_published_weights_give_crd_with_kd() -> None:
    recipe = load_recipes().get("crd").cls(kd_weight=1)
    assert (recipe.ce_weight, recipe.kd_weight, recipe.crd_weight) == (1, 1, 0.8)


def test_the_constant_of_the_noise_is_counted(crd: ModuleType) -> None:
    """With scores far below the noise, what is left is K · log((c + ε) / c)."""
    loss_of = crd.ContrastiveLoss(2, 2, 1000, 2, negatives=1, temperature=0.02).double()
    loss_of.teacher_bank.fill_(0)
    loss_of.z.fill_(1e30)
    loss_of.z_is_fixed.fill_(True)
    with torch.no_grad():
        views, bank = torch.tensor([[1.0, 0.0]]).double(), loss_of.teacher_bank
        index, negatives = torch.tensor([0]), torch.tensor([[1]])
        loss = loss_of._nce(views, bank, loss_of.z[0], index, negatives)
        own = math.log(1e30 * (1e-3 + 1e-7)) - (views @ bank[0] / 0.02).item()
    assert loss.item() - own == pytest.approx(math.log1p(1e-7 / 1e-3), abs=1e-9)


def test_in_batch_negatives_are_of_other_classes(
    crd: ModuleType,
) -> None:
    """Against the plain sum over the images that count, a row at a time."""
    torch.manual_seed(0)
    loss_of = crd.InBatchLoss(6, 9, feature_dim=5, temperature=0.5).double()
    embed_s, embed_t = torch.randn(6, 6).double(), torch.randn(6, 9).double()
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    s = F.normalize(loss_of.student_embed(embed_s), dim=1)
    t = F.normalize(loss_of.teacher_embed(embed_t), dim=1)
    expected = torch.zeros((), dtype=torch.float64)
    for views, others in ((s, t), (t, s)):
        for i in range(6):
            scores = (views[i] @ others.T / 0.5).exp()
            noise = sum(scores[j] for j in range(6) if labels[j] != labels[i])
            expected -= (scores[i] / (scores[i] + noise)).log() / 6
    torch.testing.assert_close(loss_of(embed_s, embed_t, labels), expected)
    same = loss_of(embed_s, embed_t, torch.zeros(6, dtype=torch.int64))
    assert same.item() == pytest.approx(0.0, abs=1e-12), "one class has no negatives"
