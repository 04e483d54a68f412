"""Negatives are images of other classes, each as likely as the next."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

SIZES = (3, 40, 1, 16)  # unequal classes


@pytest.fixture(scope="module")
def other_classes(recipe_module: Callable[[str], ModuleType]) -> Any:
    return recipe_module("_negatives").OtherClasses


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.repeat_interleave(torch.arange(len(SIZES)), torch.tensor(SIZES))[
        torch.randperm(60)
    ]


def test_draws_are_uniform_over_the_other_classes(other_classes: Any, labels: torch.Tensor) -> None:
    torch.manual_seed(1)
    draws = other_classes(labels).draw(torch.arange(60), 4000)
    for own in range(len(SIZES)):
        counts = draws[labels == own].flatten().bincount(minlength=60)
        assert counts[labels == own].sum() == 0
        assert chisquare(counts[labels != own].numpy()).pvalue > 1e-3


@given(labels=st.lists(st.integers(0, 5), min_size=2).filter(lambda x: len(set(x)) > 1))
def test_a_draw_never_hits_its_own_class(other_classes: Any, labels: list[int]) -> None:
    classes = torch.tensor(labels)
    draws = other_classes(classes).draw(torch.arange(len(labels)), 50)
    assert (classes[draws] != classes[:, None]).all()


def test_fewest_is_what_the_largest_class_leaves(other_classes: Any, labels: torch.Tensor) -> None:
    assert other_classes(labels).fewest == 20


def test_draws_follow_the_global_seed(other_classes: Any, labels: torch.Tensor) -> None:
    sampler, index = other_classes(labels), torch.tensor([0, 5])
    torch.manual_seed(3)
    first = sampler.draw(index, 20)
    torch.manual_seed(3)
    assert torch.equal(sampler.draw(index, 20), first)
    assert not torch.equal(sampler.draw(index, 20), first)


def test_class_labels_without_images_do_no_harm(other_classes: Any) -> None:
    labels = torch.tensor([7, 7, 2])
    assert (other_classes(labels).draw(torch.tensor([0]), 9) == 2).all()
