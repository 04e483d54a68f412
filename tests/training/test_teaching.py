"""The fast teacher against the plain network."""

from __future__ import annotations

import pytest
import torch

from benchmark.networks.creation import create_network
from benchmark.training.teaching import Teacher


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = create_network("resnet20", classes=10)
    with torch.no_grad():
        for _ in range(3):  # gives the BatchNorms statistics to fold
            network(torch.randn(16, 3, 32, 32) * 2 + 1)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_the_fast_teacher_says_what_the_plain_network_says(
    network: torch.nn.Module, dtype: torch.dtype, tolerance: float
) -> None:
    images = torch.randn(8, 3, 32, 32).to(memory_format=torch.channels_last)
    cpu = torch.device("cpu")
    fast = Teacher(network, device=cpu, dtype=dtype, needs={"maps", "class_maps"})(images)
    slow = network(images, maps=True, class_maps=True)
    for name in ("logits", "embedding", "features", "class_maps"):
        a, b = getattr(fast, name), getattr(slow, name)
        assert a.dtype == torch.float32
        assert (a - b).norm() <= tolerance * b.norm()
    for a, b in zip(fast.maps, slow.maps, strict=True):
        assert (a - b).norm() <= tolerance * b.norm()
    assert not fast.logits.requires_grad
