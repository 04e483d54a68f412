"""The learning rate as a pure function of how far the training is."""

from __future__ import annotations

import math

from benchmark.cards.card import Protocol


def base_rate(protocol: Protocol, network: str) -> float:
    """The learning rate of a network after the warm-up."""
    return protocol.lr_by_network.get(network, protocol.lr)


def learning_rate(protocol: Protocol, network: str, epoch: float) -> float:
    """Learning rate at a point of the training.

    Args:
        protocol: gives base rate, warm-up and schedule.
        network: some networks have a base rate of their own.
        epoch: epochs done, with the share of the current one; 0 ≤ epoch ≤ protocol.epochs.

    Returns:
        The rate. ``step``: base × gamma^(milestones passed), constant within an epoch, as the
        field's published schedules have it. ``cosine``: from the base to zero over the epochs after
        the warm-up (Loshchilov & Hutter, arXiv:1608.03983, one period).
    """
    base = base_rate(protocol, network)
    if epoch < protocol.warmup_epochs:
        return base * epoch / protocol.warmup_epochs
    if protocol.schedule == "step":
        return base * protocol.gamma ** sum(int(epoch) >= m for m in protocol.milestones)
    span = protocol.epochs - protocol.warmup_epochs
    share = min(1.0, (epoch - protocol.warmup_epochs) / span) if span > 0 else 1.0
    return base * 0.5 * (1 + math.cos(math.pi * share))
