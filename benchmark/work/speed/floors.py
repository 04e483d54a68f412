"""What the networks of a step need at the least: operations, and traffic with the memory.

Both are counted from shapes. Operations are those of convolutions and linear layers, 2 for a
multiply-add, and a backward pass has twice those of the forward. Traffic is what a machine moves
that fuses all that can be fused and keeps nothing in a cache: a layer is a module with parameters
(activation functions and additions are fused into it), and reads what it is given and writes what
it gives, once; its backward reads both gradient and input again and writes a gradient. BatchNorms
that are folded away are no layers. What a recipe adds, its own layers, banks and losses, is not in
it: the floor is that of the networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.networks.cost import BATCH, count_macs, count_parameters, meta_copy, meta_images
from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Network
from benchmark.records.speed import Floor, Peak

WEIGHT_BYTES = 4  # of those that are trained, whatever the arithmetic
# Forward; backward; writing the gradient; and of SGD: weight, gradient and momentum are read, and
# weight and momentum written.
WEIGHT_PASSES = 8


@dataclass(frozen=True)
class Needs:
    """What one global batch needs.

    Attributes:
        operations: multiplications and additions.
        memory_bytes: read or written.
    """

    operations: float
    memory_bytes: float

    def floor(self, peak: Peak, precision: str, step_ms: float) -> Floor:
        """The times that the machine's best would take, and the bandwidth's share of a step."""
        arithmetic_ms = self.operations / gflops(peak, precision) / 1e6
        memory_ms = self.memory_bytes / peak.memory_gb_per_s / 1e6
        return Floor(
            arithmetic_ms=arithmetic_ms,
            memory_ms=memory_ms,
            share_of_bandwidth=memory_ms / step_ms,
        )


def gflops(peak: Peak, precision: str) -> float:
    """The peak of the arithmetic in a precision."""
    return peak.bf16_gflops if precision == "bf16" else peak.fp32_gflops


def needs_of(
    students: Iterable[Network],
    teachers: Iterable[Network],
    *,
    image_size: tuple[int, int],
    batch_size: int,
    precision: str,
) -> Needs:
    """What a step needs in which students learn and each teacher answers once."""
    bytes_each = 2 if precision == "bf16" else 4
    operations = memory = 0.0
    for student in students:
        read, written = traffic(student, image_size)
        operations += batch_size * 6.0 * count_macs(student, image_size)
        memory += batch_size * bytes_each * (3 * read + 2 * written)
        memory += WEIGHT_PASSES * WEIGHT_BYTES * count_parameters([student])
    for teacher in teachers:
        read, written = traffic(inference_copy(teacher), image_size)
        operations += batch_size * 2.0 * count_macs(teacher, image_size)
        memory += batch_size * bytes_each * (read + written)
        memory += bytes_each * count_parameters([teacher])
    return Needs(operations, memory)


def traffic(network: Network, image_size: tuple[int, int]) -> tuple[int, int]:
    """Numbers that the layers with parameters read and write for one image (3, H, W)."""
    twin = meta_copy(network)
    read = written = 0

    def add(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal read, written
        read += sum(value.numel() for value in inputs if isinstance(value, Tensor))
        written += output.numel() if isinstance(output, Tensor) else 0

    for module in twin.modules():
        if not list(module.children()) and list(module.parameters()):
            module.register_forward_hook(add)
    with torch.no_grad():
        twin(meta_images(twin, image_size))
    return read // BATCH, written // BATCH
