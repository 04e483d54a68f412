"""What a training cost: images through networks, memory, parameters, multiply-accumulates."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from benchmark.networks.cost import count_macs
from benchmark.networks.outputs import Network


class Meter:
    """Counts the images that go through networks, and back through them, in one step.

    Args:
        networks: none of which is a part of another.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self.forwards = self.backwards = 0
        self._handles: list[RemovableHandle] = [
            network.register_forward_hook(self._count) for network in networks
        ]

    @property
    def is_open(self) -> bool:
        """Whether it still counts."""
        return bool(self._handles)

    def close(self) -> None:
        """The step is over."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _count(self, network: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        images = len(inputs[0])
        self.forwards += images
        if outputs.logits.requires_grad:
            self.backwards += images


def peak_memory_mb(device: torch.device) -> float:
    """Of the device during the group; on the CPU of the process until now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, else in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def macs_of(network: Network, beside: Iterable[nn.Module], image_size: tuple[int, int]) -> int:
    """Multiply-accumulates for one image of a network and of linear layers deployed beside it."""
    layers = (layer for module in beside for layer in module.modules())
    linear = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
    return count_macs(network, image_size) + linear
