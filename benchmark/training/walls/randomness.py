"""The random state of a recipe's turn: a function of its seed and place, whoever came before."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed the global generators of torch, numpy and Python.

    Recipes draw from torch's. The others are seeded too, so that a recipe that draws from them
    neither depends on its neighbours nor on where a training was continued.

    Args:
        seed: in [0, 2^63).
    """
    if _has_accelerator():
        torch.manual_seed(seed)
    else:
        # torch.manual_seed remembers the seed for devices that never come: 105 µs instead of 1.
        torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global generator is what is meant
    random.seed(seed)


@cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()
