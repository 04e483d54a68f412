"""TH-KD's two forms, and the three trainings of SH-KD."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from benchmark import Batch, Context, Network, Outputs, Pair, Role, SharedHead
from benchmark.errors import RecipeError
from benchmark.networks.creation import create_network
from benchmark.recipe.discovery import load_recipes

PAIR = Pair("wrn_16_2", "resnet8")
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
INDEX = torch.tensor([1, 5, 6])


@pytest.fixture(scope="module")
def teacher() -> Network:
    return create_network("wrn_16_2", classes=3).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def student() -> Network:
    return create_network("resnet8", classes=3)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return Batch(torch.randn(3, 3, 32, 32), LABELS[INDEX], INDEX, progress=0.0)


def built(name: str, student: Network, teacher: Network, **settings: Any) -> Any:
    recipe = load_recipes().get(name).cls(**settings)
    recipe.build(Context(student.shape, teacher.shape, LABELS, {"teacher": teacher}))
    return recipe


def test_the_projector_stands_only_between_unequal_widths(
    student: Network, teacher: Network
) -> None:
    def names(pupil: Network) -> set[str]:
        return {k for k, p in built("th-kd", pupil, teacher).named_parameters() if p.requires_grad}

    assert names(student) == {"head.projector.weight", "head.projector.bias"}
    assert names(copy.deepcopy(teacher)) == set()


def test_published_form_is_kd_and_the_teachers_head(
    student: Network, teacher: Network, batch: Batch
) -> None:
    recipe = built("th-kd", copy.deepcopy(teacher), teacher)
    taught = teacher(batch.images)
    terms = recipe(batch, taught, taught)
    assert set(terms) == {"ce", "kd", "head"}
    assert terms["kd"].abs() < 1e-5
    assert terms["head"].abs() < 1e-5
    outputs = student(batch.images)
    assert recipe.predict(outputs) is outputs.logits
    assert list(recipe.deployed()) == []


def test_crd_may_be_added(student: Network, teacher: Network, batch: Batch) -> None:
    recipe = built("th-kd", student, teacher, crd_weight=0.8, ce_weight=0.9, kd_weight=1)
    terms = recipe(batch, student(batch.images), teacher(batch.images))
    assert set(terms) == {"ce", "kd", "head", "crd"}
    assert not hasattr(built("th-kd", student, teacher), "contrast"), "no banks without need"


def test_papers_form_weighs_the_losses_of_both_heads_and_mixes_the_prediction(
    student: Network, teacher: Network, batch: Batch
) -> None:
    recipe = built("th-kd", student, teacher, form="paper", mixture=0.3, ce_weight=1, kd_weight=1)
    own, taught = student(batch.images), teacher(batch.images)
    weight, bias = teacher.classifier.weight, teacher.classifier.bias
    head = recipe.head.projector(own.embedding) @ weight.T + bias
    p_s, p_h = own.logits.softmax(1), head.softmax(1)

    def divergence(logits: torch.Tensor) -> torch.Tensor:
        """KL of one head from the teacher at temperature 4, times 16, image by image."""
        p_t, p = (taught.logits / 4).softmax(1), (logits / 4).softmax(1)
        return 16 * (p_t * (p_t / p).log()).sum(1)

    terms = recipe(batch, own, taught)
    assert set(terms) == {"ce", "kd"}
    rows = torch.arange(3), batch.labels
    ce = -(0.7 * p_s[rows].log() + 0.3 * p_h[rows].log()).mean()
    torch.testing.assert_close(terms["ce"], ce)
    kd = (0.7 * divergence(own.logits) + 0.3 * divergence(head)).mean()
    torch.testing.assert_close(terms["kd"], kd, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(recipe.predict(own).exp(), 0.7 * p_s + 0.3 * p_h)
    assert list(recipe.deployed()) == [recipe.head]


def test_the_divergence_of_the_papers_form_has_the_gradient_of_the_cross_entropy(
    student: Network, teacher: Network, batch: Batch
) -> None:
    """H may be read either way: they differ by the teacher's entropy, which nothing trains."""
    recipe = built("th-kd", student, teacher, form="paper", mixture=0.3, ce_weight=0, kd_weight=1)
    logits = torch.randn(3, 3, requires_grad=True)
    own, taught = student(batch.images), teacher(batch.images)
    kd = recipe(batch, dataclasses.replace(own, logits=logits), taught)["kd"]
    soft_t = (taught.logits / 4).softmax(1)
    cross_entropy = 0.7 * 16 * F.cross_entropy(logits / 4, soft_t)
    got, expected = (torch.autograd.grad(x, logits)[0] for x in (kd, cross_entropy))
    torch.testing.assert_close(got, expected)


@given(
    own=st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4),
    head=st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4),
    share=st.floats(0.01, 0.99),
)
def test_a_mixture_is_a_probability(
    recipe_module: Callable[[str], ModuleType], own: list[float], head: list[float], share: float
) -> None:
    log_p = recipe_module("th_kd").mix_heads(torch.tensor([own]), torch.tensor([head]), share)
    assert torch.isfinite(log_p).all()
    assert (log_p <= 1e-6).all()
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_the_mixture_has_a_finite_gradient_where_both_heads_are_sure(
    recipe_module: Callable[[str], ModuleType],
) -> None:
    logits = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    log_p = recipe_module("th_kd").mix_heads(logits, logits.detach(), 0.5)
    F.nll_loss(log_p, torch.tensor([1])).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.any()


def test_sh_kd_needs_a_teacher_that_needs_the_student_alone() -> None:
    catalogue = load_recipes()
    sh_kd, sh_teacher = catalogue.get("sh-kd").cls(), catalogue.get("sh-teacher").cls()
    assert sh_kd.roles(PAIR) == {"teacher": Role("wrn_16_2", "sh-teacher")}
    assert sh_teacher.roles(PAIR) == {"head": Role("resnet8", "vanilla")}
    assert catalogue.get("vanilla").cls().roles(PAIR) == {}
    assert (sh_kd.ce_weight, sh_kd.kd_weight, sh_kd.crd_weight) == (1, 1, 0.8)


def test_an_independent_sh_kd_has_a_donor_of_another_draw() -> None:
    catalogue = load_recipes()
    (role,) = catalogue.get("sh-kd").cls(independent=True).roles(PAIR).values()
    assert role == Role("wrn_16_2", "sh-teacher", {"independent": True})
    sh_teacher = catalogue.get(role.recipe).cls(**role.settings)
    assert sh_teacher.roles(PAIR) == {"head": Role("resnet8", "vanilla", draw=1)}
    with pytest.raises(RecipeError, match="draw is 0, 1, 2 and so on, not -1"):
        Role("resnet8", draw=-1)
    for name in ("sh-kd", "sh-teacher"):
        cls = catalogue.get(name).cls
        assert "independent" not in cls.identified(cls.check_settings({})), "as it was before"
        assert cls.identified(cls.check_settings({"independent": True}))["independent"] is True


def test_sh_teacher_trains_on_the_students_frozen_classifier(
    student: Network, batch: Batch
) -> None:
    recipe = load_recipes().get("sh-teacher").cls()
    network = recipe.adapt(create_network("wrn_16_2", classes=3), {"head": student})
    assert isinstance(network, SharedHead)
    sum(recipe(batch, network(batch.images), None).values()).backward()
    assert torch.equal(network.classifier.weight, student.classifier.weight)
    assert network.classifier.weight.grad is None
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.any() for p in trained)


def test_a_student_of_the_shared_width_learns_from_that_teacher(
    student: Network, batch: Batch
) -> None:
    sh_teacher = load_recipes().get("sh-teacher").cls()
    teacher = sh_teacher.adapt(create_network("wrn_16_2", classes=3), {"head": student}).eval()
    recipe = built("sh-kd", student, teacher)
    with torch.no_grad():
        taught: Outputs = teacher(batch.images)
    assert set(recipe(batch, student(batch.images), taught)) == {"ce", "kd", "crd"}
