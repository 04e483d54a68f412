"""What a network costs: its parameters, and its multiply-accumulates for one image."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmark.networks.outputs import Network

Module = TypeVar("Module", bound=nn.Module)
# BatchNorm in training mode refuses a single value per channel, so one image is not enough.
BATCH = 2


def count_parameters(modules: Iterable[nn.Module]) -> int:
    """Parameters of all modules together, trained or frozen; a shared one is counted once."""
    parameters = {id(p): p for module in modules for p in module.parameters()}
    return sum(p.numel() for p in parameters.values())


def count_macs(network: Network, image_size: tuple[int, int]) -> int:
    """Multiply-accumulates of all convolutions and linear layers for one image (3, H, W).

    As usual in the field, additions of biases, BatchNorm, activations and the products of
    attention are not counted. Nothing is computed: only shapes are followed.
    """
    twin = meta_copy(network)
    macs = 0

    def add(layer: nn.Conv2d | nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        macs += output.numel() * _products(layer)

    for module in twin.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
        # What changes no shape: on the meta device it imports the compiler, which takes seconds.
        if isinstance(module, nn.Linear):
            module.register_parameter("bias", None)
        elif isinstance(module, nn.BatchNorm2d):
            vars(module)["forward"] = _unchanged
    with torch.no_grad():
        twin(meta_images(twin, image_size))
    return macs // BATCH


def _unchanged(images: Tensor) -> Tensor:
    return images


def meta_copy(network: Module) -> Module:
    """The same module with tensors that have a shape and no values."""
    # deepcopy takes from its memo what it finds there, so no weight is ever copied.
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in network.parameters()
    }
    memo |= {id(b): torch.empty_like(b, device="meta") for b in network.buffers()}
    return copy.deepcopy(network, memo)


def meta_images(network: nn.Module, image_size: tuple[int, int]) -> Tensor:
    """Two images of this size (height, width) without values, in the network's precision."""
    dtype = next(network.parameters()).dtype
    return torch.empty(BATCH, 3, *image_size, device="meta", dtype=dtype)


def _products(layer: nn.Conv2d | nn.Linear) -> int:
    """How many products one value of the layer's output is the sum of."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.in_channels // layer.groups * prod(layer.kernel_size)
