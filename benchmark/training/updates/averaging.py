"""The moving average of a network's weights, which a protocol may ask to be evaluated instead."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.networks.outputs import Network


class WeightAverage:
    """Exponential moving average of parameters and buffers, BatchNorm's statistics among them.

    ``average ← d · average + (1 − d) · network`` after every step, with ``d = min(decay, (1 + n) /
    (10 + n))`` at the n-th one of a stage, counted from 0: what was drawn at random, or left by the
    stage before, is soon forgotten. Whole numbers are taken over as they are.

    ``torch.optim.swa_utils.AveragedModel`` asks the device in every step whether it is the first,
    which makes a GPU wait; here nothing is read back.

    Args:
        network: in training, on its device; its parameters stay the same objects.
        decay: in [0, 1).

    Attributes:
        network: the average, in eval mode and without gradient.
    """

    network: Network

    def __init__(self, network: Network, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay, self._updates = decay, 0
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        real = [pair for pair in pairs if pair[0].is_floating_point()]
        self._averages, self._values = [pair[0] for pair in real], [pair[1] for pair in real]
        self._whole = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take one step of the network in."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(self._averages, self._values, 1 - decay)
        for average, value in self._whole:
            average.copy_(value)
        self._updates += 1

    def restart(self) -> None:
        """Count the steps anew: what follows has its weight from the beginning."""
        self._updates = 0

    def state_dict(self) -> dict[str, Any]:
        """All that a continued training needs."""
        return {"network": self.network.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""
        self.network.load_state_dict(state["network"])
        self._updates = int(state["updates"])


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
