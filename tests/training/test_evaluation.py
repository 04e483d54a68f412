"""Metrics against numpy by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from benchmark.training.examining.evaluation import BINS, Tally


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(101, 12, generator=generator) * 2
    labels = torch.randint(0, 12, (101,), generator=generator)
    return logits, labels, torch.randint(0, 12, (101,), generator=generator)


def test_metrics_equal_their_definitions(
    case: tuple[torch.Tensor, ...], accelerator: Accelerator
) -> None:
    logits, labels, teacher = case
    tally = Tally(12, torch.device("cpu"), teacher)
    for part in torch.arange(101).split(16):
        tally.add(logits[part], labels[part], part)
    scores = tally.metrics(accelerator, "test")
    assert scores is not None

    p = torch.softmax(logits.double(), 1).numpy()
    y = labels.numpy()
    predicted, confidence = p.argmax(1), p.max(1)
    right = predicted == y
    order = np.argsort(-p, axis=1)[:, :5]
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    ece = sum(
        abs(confidence[places == b].sum() - right[places == b].sum()) for b in range(BINS)
    ) / len(y)
    assert scores.images == 101
    assert scores.top1 == pytest.approx(100 * right.mean())
    assert scores.top5 == pytest.approx(100 * (order == y[:, None]).any(1).mean())
    assert scores.mean_per_class == pytest.approx(
        100 * np.mean([right[y == c].mean() for c in np.unique(y)])
    )
    assert scores.nll == pytest.approx(-np.log(p[np.arange(101), y]).mean(), rel=1e-5)
    assert scores.ece == pytest.approx(100 * ece, rel=1e-5)
    assert scores.agreement == pytest.approx(100 * (predicted == teacher.numpy()).mean())


def test_without_a_teacher_there_is_no_agreement(
    case: tuple[torch.Tensor, ...], accelerator: Accelerator
) -> None:
    tally = Tally(12, torch.device("cpu"), None)
    tally.add(case[0], case[1], torch.arange(101))
    metrics = tally.metrics(accelerator, "test")
    assert metrics is not None
    assert metrics.agreement is None


def test_predictions_that_are_not_finite_have_no_metrics(
    case: tuple[torch.Tensor, ...], accelerator: Accelerator
) -> None:
    tally = Tally(12, torch.device("cpu"), None)
    tally.add(case[0] * float("nan"), case[1], torch.arange(101))
    assert tally.metrics(accelerator, "test") is None
