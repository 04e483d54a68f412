"""The arithmetic of a training, as the accelerator was told it."""

from __future__ import annotations

from typing import Literal

import torch
from accelerate import Accelerator


def precision_of(accelerator: Accelerator) -> Literal["fp32", "bf16"]:
    """The precision by its name in a record."""
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"


def dtype_of(accelerator: Accelerator) -> torch.dtype:
    """The type of numbers that teachers compute in."""
    return torch.bfloat16 if precision_of(accelerator) == "bf16" else torch.float32
