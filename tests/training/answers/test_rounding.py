"""By how much losses move when answers are rounded."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.errors import DisturbanceError
from benchmark.networks.outputs import Outputs
from benchmark.training.answers.rounding import check_rounding, loss_moves


def said(scale: float, shift: float = 0.0) -> Outputs:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 10, generator=generator) * scale + shift
    return Outputs(logits, torch.rand(16, 8, generator=generator))


def rounded(outputs: Outputs) -> Outputs:
    return Outputs(outputs.logits.half().float(), outputs.embedding.half().float())


@pytest.mark.parametrize("scale", [1e-2, 1.0, 20.0])
def test_logits_of_usual_size_may_be_rounded(scale: float) -> None:
    exact = said(scale)
    assert 0 < loss_moves(exact, rounded(exact)) < 1e-3
    check_rounding(exact, rounded(exact))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 1e4), (1e5, 0.0), (math.nan, 0.0)])
def test_what_fp16_cannot_tell_apart_may_not(scale: float, shift: float) -> None:
    exact = said(scale, shift)
    with pytest.raises(DisturbanceError, match="--keep-teacher-outputs alone"):
        check_rounding(exact, rounded(exact))


def test_an_embedding_may_be_too_large_too() -> None:
    exact = Outputs(said(1.0).logits, torch.full((16, 8), 1e5))
    assert loss_moves(exact, rounded(exact)) == math.inf


def test_nothing_moves_where_nothing_is_rounded() -> None:
    zero = Outputs(torch.zeros(4, 3), torch.zeros(4, 2))
    assert loss_moves(zero, zero) == 0
