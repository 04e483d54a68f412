"""Published facts about the CIFAR networks, and the weights that reproduce them."""

import hashlib
import json
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network

FACTS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "networks.json").read_text()
)


def filled_network(name: str) -> Network:
    """The network in float64 and eval mode, its weights drawn by their names."""
    with torch.device("meta"):
        network = create_network(name, classes=100)
    state = {key: _fill(key, value) for key, value in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    return network.eval()


def reference_images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(2024).normal(0, 1, (2, 3, 32, 32)))


def state_dict_digest(network: Network) -> str:
    lines = sorted(
        f"{key} {'x'.join(map(str, value.shape))}" for key, value in network.state_dict().items()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _fill(key: str, value: Tensor) -> Tensor:
    shape = tuple(value.shape)
    if not value.is_floating_point():
        return torch.zeros(shape, dtype=value.dtype)
    random = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
        return torch.from_numpy(random.uniform(0.5, 1.5, shape))
    if key.endswith(("running_mean", "bias")):
        return torch.from_numpy(random.normal(0, 0.1, shape))
    return torch.from_numpy(random.normal(0, np.sqrt(2 / prod(shape[1:])), shape))
