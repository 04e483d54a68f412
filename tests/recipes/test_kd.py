"""Laws of the distillation loss."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

logits = st.lists(
    st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5), min_size=3, max_size=3
).map(torch.tensor)
temperatures = st.floats(0.5, 20)


@pytest.fixture(scope="module")
def kd_loss(recipe_module: Callable[[str], ModuleType]) -> Callable[..., Tensor]:
    return recipe_module("kd").kd_loss


@given(student=logits, teacher=logits, temperature=temperatures)
def test_it_is_never_negative(
    kd_loss: Callable[..., Tensor], student: Tensor, teacher: Tensor, temperature: float
) -> None:
    assert kd_loss(student, teacher, temperature) >= -1e-5 * temperature**2


@given(student=logits, teacher=logits, temperature=temperatures)
def test_it_is_zero_only_for_equal_probabilities(
    kd_loss: Callable[..., Tensor], student: Tensor, teacher: Tensor, temperature: float
) -> None:
    assert abs(kd_loss(teacher, teacher, temperature)) < 1e-5 * temperature**2
    p, q = ((x / temperature).softmax(dim=1) for x in (student, teacher))
    distance = (p - q).abs().sum(dim=1)
    # Pinsker: KL is at least half the squared L1 distance.
    at_least = 0.5 * distance.square().mean() * temperature**2
    assert kd_loss(student, teacher, temperature) >= 0.99 * at_least - 1e-4 * temperature**2


@given(student=logits, teacher=logits, shift=st.floats(-50, 50))
def test_a_constant_added_to_the_logits_changes_nothing(
    kd_loss: Callable[..., Tensor], student: Tensor, teacher: Tensor, shift: float
) -> None:
    expected = kd_loss(student, teacher, 4.0)
    torch.testing.assert_close(
        kd_loss(student + shift, teacher - shift, 4.0), expected, rtol=1e-4, atol=1e-3
    )


def test_gradient_reaches_the_student_alone(kd_loss: Callable[..., Tensor]) -> None:
    student = torch.randn(3, 5, requires_grad=True)
    kd_loss(student, torch.randn(3, 5), 4.0).backward()
    # Probabilities sum to one, so the gradient by the logits sums to zero.
    torch.testing.assert_close(student.grad.sum(dim=1), torch.zeros(3), atol=1e-6, rtol=0)
