"""The losses of the recipes that look at other images or listen to others, term by term."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import Batch, Context, Outputs, Pair, Recipe
from benchmark.errors import UsageError
from benchmark.networks.creation import create_network
from benchmark.recipe.discovery import load_recipes

B, K = 5, 4
LABELS = torch.tensor([0, 1, 2, 3, 0])


def recipe(name: str, **settings: Any) -> Recipe:
    return load_recipes().get(name).cls(**settings)


def outputs(seed: int, width: int = 6) -> Outputs:
    draw = torch.Generator().manual_seed(seed)
    return Outputs(torch.randn(B, K, generator=draw), torch.randn(B, width, generator=draw))


def batch(draw: int = 0, **changes: Any) -> Batch:
    images = torch.randn(B, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    values = {"progress": 0.5, "class_count": K, "draw": draw} | changes
    return Batch(images, LABELS, torch.arange(B), **values)


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p.log() - q.log())).sum(dim=1).mean()


def test_function_matching_draws_shares_evenly_above_a_half() -> None:
    method, plain = recipe("function-matching"), batch()
    shares = []
    for draw in range(300):
        seen = method.view(batch(draw)).images
        own, other = plain.images[1, 0, 0, 0], plain.images[0, 0, 0, 0]
        share = ((seen[1, 0, 0, 0] - other) / (own - other)).item()
        shares.append(share)
        before = plain.images.roll(1, dims=0)
        torch.testing.assert_close(
            seen, share * plain.images + (1 - share) * before, rtol=1e-3, atol=1e-4
        )
    assert 0.5 <= min(shares) < 0.55
    assert 0.95 < max(shares) <= 1
    assert sum(shares) / len(shares) == pytest.approx(0.75, abs=0.03)


def test_function_matching_reads_no_label() -> None:
    method = recipe("function-matching", temperature=2)
    s, t = outputs(1), outputs(2)
    terms = method(batch(), s, t)
    expected = 4 * kl((t.logits / 2).softmax(1), (s.logits / 2).softmax(1))
    torch.testing.assert_close(terms["kd"], expected)
    assert set(terms) == {"kd"}


def test_several_teachers_are_averaged_after_softening() -> None:
    method = recipe("avg-teachers", teachers=3, temperature=3, ce_weight=0.5, kd_weight=2)
    s, heard = outputs(1), {str(seed): outputs(seed) for seed in (2, 3, 4)}
    terms = method(batch(), s, heard)
    mean = sum((t.logits / 3).softmax(1) for t in heard.values()) / 3
    torch.testing.assert_close(terms["kd"], 2 * 9 * kl(mean, (s.logits / 3).softmax(1)))
    torch.testing.assert_close(terms["ce"], -0.5 * s.logits.log_softmax(1)[range(B), LABELS].mean())


def test_equal_teachers_are_one_teacher() -> None:
    s, t = outputs(1), outputs(2)
    several = recipe("avg-teachers")(batch(), s, {"teacher": t, "second": t})
    one = recipe("kd")(batch(), s, t)
    for name, term in one.items():
        torch.testing.assert_close(several[name], term)


def test_teachers_are_draws_of_the_pairs_teacher() -> None:
    roles = recipe("avg-teachers", teachers=3).roles(Pair("resnet14", "resnet8"))
    assert list(roles) == ["teacher", "second", "third"]
    assert [role.draw for role in roles.values()] == [0, 1, 2]
    assert {(role.network, role.recipe) for role in roles.values()} == {("resnet14", "vanilla")}
    for wrong in (1, 6):
        with pytest.raises(UsageError, match="teachers"):
            recipe("avg-teachers", teachers=wrong)


@pytest.mark.parametrize(
    ("progress", "ramp"), [(0.0, math.exp(-5)), (0.1, math.exp(-1.25)), (0.2, 1), (1, 1)]
)
def test_the_mean_teacher_looks_at_the_second_view(progress: float, ramp: float) -> None:
    torch.manual_seed(0)
    network = create_network("resnet8", classes=K)
    method = recipe("mean-teacher", consistency_weight=7, rampup=0.2)
    method.build(Context(network.shape, None, LABELS, maybe_network=network))
    network.eval()
    method.eval()
    second = torch.randn(B, 3, 32, 32)
    s = outputs(1)
    terms = method(batch(progress=progress, views=(second,)), s, None)
    said = network(second).logits.softmax(1)
    expected = 7 * ramp * (s.logits.softmax(1) - said).square().mean()
    torch.testing.assert_close(terms["consistency"], expected)
    assert not terms["consistency"].requires_grad, "nothing reaches the average"


@pytest.mark.parametrize("width", [6, 8])
def test_kd_plus_plus_points_to_the_class_means(
    width: int, recipe_module: Callable[[str], ModuleType]
) -> None:
    method = recipe("kd-plus-plus", warmup=1, dropout=0)
    teacher = create_network("resnet8", classes=K).shape
    shapes = [
        type(teacher)(K, embedding_dim, teacher.stage_shapes, (embedding_dim, 1, 1))
        for embedding_dim in (width, 6)
    ]
    means = torch.randn(K, 6)
    torch.manual_seed(0)
    method.build(Context(*shapes, LABELS, known={"class_means": means}))
    s, t = outputs(1, width), outputs(2)
    terms = method(batch(), s, t)
    linear = [m for m in method.modules() if isinstance(m, torch.nn.Linear)]
    embed = s.embedding
    if linear:
        embed = (embed - embed.mean(0)) / (embed.var(0, unbiased=False) + 1e-5).sqrt()
        embed = linear[0](embed)
    assert bool(linear) == (width != 6)
    slow = []
    for row, label in enumerate(LABELS):
        direction = means[label] / means[label].norm()
        longer = max(embed[row].norm(), t.embedding[row].norm())
        slow.append(1 - embed[row] @ direction / longer)
    torch.testing.assert_close(terms["nd"], 2 * torch.stack(slow).mean())
    plain = recipe("kd", kd_weight=3.5)(batch(), s, t)
    torch.testing.assert_close(terms["kd"], 0.5 * plain["kd"], msg="half of the warm-up is done")
    torch.testing.assert_close(terms["ce"], 10 * plain["ce"])


@pytest.mark.parametrize("labels", [LABELS, torch.rand(B, K)], ids=["classes", "distributions"])
def test_two_views_cost_the_mean_of_both(labels: Tensor) -> None:
    method, plain = recipe("kd-2views"), recipe("kd")
    halves = [(outputs(1), outputs(2)), (outputs(3), outputs(4))]
    both = [
        Outputs(
            *(
                torch.cat(parts)
                for parts in zip(*((one.logits, one.embedding) for one in side), strict=True)
            )
        )
        for side in zip(*halves, strict=True)
    ]
    whole = Batch(torch.randn(B, 3, 8, 8), labels, torch.arange(B), 0.0, (torch.randn(B, 3, 8, 8),))
    terms = method(method.view(whole), *both)
    for name, term in terms.items():
        parts = [plain(whole, *half)[name] for half in halves]
        torch.testing.assert_close(term, torch.stack(parts).mean())
