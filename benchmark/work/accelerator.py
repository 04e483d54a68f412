"""The one object that owns device, precision and processes."""

from __future__ import annotations

import datetime
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs


def make_accelerator(precision: str) -> Accelerator:
    """The one object that owns device, precision and processes.

    Args:
        precision: ``fp32``, ``bf16``, or ``auto`` for bf16 where the device computes it itself.
    """
    # Without this, "fp32" convolutions on NVIDIA would round their inputs to ten bits (TF32).
    backends: Any = torch.backends  # whose types do not know the precision of convolutions
    backends.cudnn.conv.fp32_precision = backends.cuda.matmul.fp32_precision = "ieee"
    return Accelerator(
        cpu=not torch.cuda.is_available(),  # with several processes, accelerate must be told
        mixed_precision="bf16" if wants_bf16(precision) else "no",
        # One process reads or downloads the data while the others wait.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=datetime.timedelta(hours=12))],
    )


def wants_bf16(precision: str) -> bool:
    """Whether ``fp32``, ``bf16`` or ``auto`` is bf16 on this machine."""
    return precision == "bf16" or (precision == "auto" and has_bf16())


def has_bf16() -> bool:
    """Whether the device has units for bfloat16 that are made to be faster than float32's."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    # AVX-512 has bfloat16 instructions too; on a Xeon without AMX they gave half of float32's rate.
    return any(capabilities.get(name) for name in ("amx_bf16", "bf16"))
