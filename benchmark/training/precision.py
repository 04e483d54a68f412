"""The arithmetic of a training, as the accelerator was told it, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor


def precision_of(accelerator: Accelerator) -> Literal["fp32", "bf16"]:
    """The precision by its name in a record."""
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"


def dtype_of(accelerator: Accelerator) -> torch.dtype:
    """The type of numbers that teachers compute in."""
    return torch.bfloat16 if precision_of(accelerator) == "bf16" else torch.float32


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of those that hold a number that is not finite."""
    real = {name: t for name, t in tensors.items() if t.is_floating_point() or t.is_complex()}
    return [name for name, tensor in real.items() if not bool(torch.isfinite(tensor).all())]
