"""What this machine gives at its best: arithmetic, and traffic with its memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmark.errors import UsageError
from benchmark.recipe.banks import product_of_rows
from benchmark.records.speed import Peak

MATRIX_SIZES = (256, 512, 1024, 2048)
LARGE_MATRIX_SIZES = (4096, 8192)  # that a GPU needs to be busy
LONG_PRODUCT = 0.15  # seconds
COPIED_MB = {"cpu": 256, "cuda": 1024}  # several times the largest caches
REPEATS = 5


def peak_of(device: torch.device) -> Peak:
    """The best of arithmetic in both precisions, and of the memory."""
    return Peak(
        fp32_gflops=peak_gflops(device, "fp32"),
        bf16_gflops=peak_gflops(device, "bf16"),
        memory_gb_per_s=memory_gb_per_s(device),
    )


def better(one: Peak, other: Peak) -> Peak:
    """The better of two measurements in each: a peak is what a machine can, not what it does."""
    values: dict[str, Any] = {
        name: max(value, getattr(other, name)) for name, value in one.model_dump().items()
    }
    return Peak(**values)


def peak_gflops(device: torch.device, precision: str) -> float:
    """Best speed of a square matrix product, in 10⁹ operations a second.

    Of the libraries that torch has on a CPU the faster one counts: where MKL is slow, convolutions
    by oneDNN would seem to be beyond what the processor can. Each size is tried five times with
    each, and the next larger one unless that took long: a processor that emulates bf16 would take
    minutes for the largest.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if precision not in ("bf16", "fp32"):
        raise UsageError(f"unknown precision '{precision}'. Choose fp32 or bf16.")
    best = 0.0
    for size in MATRIX_SIZES + (() if device.type == "cpu" else LARGE_MATRIX_SIZES):
        a = torch.randn(size, size, device=device, dtype=dtype)
        shortest = min(_seconds_of_product(a) for _ in range(REPEATS))
        best = max(best, 2 * size**3 / shortest / 1e9)
        if shortest > LONG_PRODUCT:
            break
    return best


def memory_gb_per_s(device: torch.device) -> float:
    """Best speed of copying a large tensor, in 10⁹ bytes that are read or written a second."""
    numbers = COPIED_MB.get(device.type, COPIED_MB["cpu"]) * 2**20 // 4
    source = torch.ones(numbers, device=device)
    copy = torch.empty_like(source)
    shortest = min(_seconds_of(lambda: copy.copy_(source)) for _ in range(REPEATS + 1))
    return 2 * 4 * numbers / shortest / 1e9


def _seconds_of_product(a: torch.Tensor) -> float:
    return min(_seconds_of(lambda: a @ a), _seconds_of(lambda: product_of_rows(a, a)))


def _seconds_of(work: Callable[[], torch.Tensor]) -> float:
    begun = time.perf_counter()
    work().view(-1)[0].item()  # waits for the device
    return time.perf_counter() - begun
