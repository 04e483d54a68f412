"""How far losses move when what a teacher says is rounded to fp16."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmark.errors import DisturbanceError
from benchmark.networks.outputs import Outputs

MOST = 1e-3  # of a loss
TEMPERATURES = (1.0, 4.0)  # of the teacher's own probabilities, and of most recipes


def check_rounding(exact: Outputs, rounded: Outputs) -> None:
    """Refuse a rounding that moves losses.

    Args:
        exact: what a teacher says of a batch.
        rounded: the same in fp16.

    Raises:
        DisturbanceError: nothing can be trained so, and that is no result of a method.
    """
    moved = loss_moves(exact, rounded)
    if not moved < MOST:  # also where it is not a number
        raise DisturbanceError(
            f"rounding what the teacher says to fp16 moves the loss by {moved:.1e} of its value, "
            f"more than {MOST:g}.\nKeep it in fp32: --keep-teacher-outputs alone.",
            lasting=True,
        )


def loss_moves(exact: Outputs, rounded: Outputs) -> float:
    """By what share of their value losses on a batch move.

    It is the largest of two: of KL(teacher ‖ student) for a student that knows nothing, at the
    usual temperatures, and of the squared distance of embeddings from zero.
    """
    losses = [
        *((_divergence(said.logits, t) for said in (exact, rounded)) for t in TEMPERATURES),
        (_square(said.embedding) for said in (exact, rounded)),
    ]
    return max(_share(*pair) for pair in losses)


def _divergence(logits: Tensor, temperature: float) -> Tensor:
    """Batch mean of KL(p ‖ uniform) of the softened probabilities of logits (B, K)."""
    # In float64: for a teacher that knows little it is a small difference of large numbers.
    log_p = torch.log_softmax(logits.double() / temperature, dim=1)
    return (log_p.exp() * log_p).sum(dim=1).mean() + math.log(logits.shape[1])


def _square(embedding: Tensor) -> Tensor:
    return embedding.double().square().mean()


def _share(before: Tensor, after: Tensor) -> float:
    moved, of = float(after - before), float(before)
    if moved == 0:
        return 0.0
    return abs(moved / of) if of else math.inf
