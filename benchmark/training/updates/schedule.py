"""The learning rate as a pure function of how far the training is."""

from __future__ import annotations

import math

from benchmark.cards.card import Protocol


def learning_rate(protocol: Protocol, network: str, epoch: float) -> float:
    """Learning rate at a point of the training.

    Args:
        protocol: gives base rate, warm-up and schedule.
        network: some networks have a base rate of their own.
        epoch: epochs done, with the share of the current one; 0 ≤ epoch ≤ protocol.epochs.

    Returns:
        The rate. ``step``: base × gamma^(milestones passed), constant within an epoch, as the
        field's published schedules have it. ``cosine``: from the base to ``min_lr`` over the epochs
        after the warm-up (Loshchilov & Hutter, arXiv:1608.03983, one period).
    """
    base = protocol.base_rate(network)
    if epoch < protocol.warmup_epochs:
        return base * epoch / protocol.warmup_epochs
    if protocol.schedule == "step":
        return base * protocol.gamma ** sum(int(epoch) >= m for m in protocol.milestones)
    span = protocol.epochs - protocol.warmup_epochs
    share = min(1.0, (epoch - protocol.warmup_epochs) / span) if span > 0 else 1.0
    # With a floor of 0 these are the same bits as without one: x + 0 and (x - 0) change nothing.
    return protocol.min_lr + (base - protocol.min_lr) * 0.5 * (1 + math.cos(math.pi * share))
