"""The engine of a training: what computes it, as checkpoints and records name it."""

from __future__ import annotations

import platform

import torch
from accelerate import Accelerator

from benchmark.records.schema import Engine
from benchmark.training.precision import precision_of


def engine_of(accelerator: Accelerator, *, is_compiled: bool = False) -> Engine:
    """What this process computes with, together with the others."""
    return Engine(
        torch=torch.__version__,
        device=device_name(accelerator.device),
        processes=accelerator.num_processes,
        threads=torch.get_num_threads(),
        precision=precision_of(accelerator),
        compiled=True if is_compiled else None,
    )


def device_name(device: torch.device) -> str:
    """Kind and name of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.processor() or platform.machine()})"


def difference(one: Engine, other: Engine) -> str:
    """What sets two engines apart, for a person; empty if nothing does."""
    before, now = dict(one), dict(other)
    return ", ".join(
        f"{name} {before[name]}, now {now[name]}" for name in now if before[name] != now[name]
    )
