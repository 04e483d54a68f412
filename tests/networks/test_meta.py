"""Networks without memory: the shape is a drawn network's, and nothing is drawn."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from benchmark.networks.creation import create_network
from benchmark.networks.meta import on_meta
from benchmark.networks.names import CIFAR_NETWORKS


@pytest.mark.parametrize("name", ["resnet8", "vgg8", "MobileNetV2", "ShuffleV1", "timm/resnet10t"])
def test_looks_like_a_drawn_network(name: str) -> None:
    drawn = create_network(name, classes=7)
    with on_meta():
        network = create_network(name, classes=7)
    assert network.shape == drawn.shape
    sizes = {key: value.shape for key, value in network.state_dict().items()}
    assert sizes == {key: value.shape for key, value in drawn.state_dict().items()}
    assert all(value.is_meta for value in network.state_dict().values())


def test_tensors_with_memory_are_drawn_all_the_same() -> None:
    weight = torch.empty(64)
    with on_meta():
        nn.init.normal_(weight)
    assert weight.std() > 0.5


@pytest.mark.parametrize("draw", [nn.init.normal_, nn.init.uniform_, nn.init.trunc_normal_])
def test_what_fills_a_tensor_returns_it(draw) -> None:
    with on_meta():
        weight = torch.empty(3, 3)
        assert draw(weight) is weight


def test_no_network_of_the_field_needs_the_compiler() -> None:
    names = [info.name for info in CIFAR_NETWORKS]
    code = (
        "import sys\n"
        "from benchmark.networks.creation import create_network\n"
        "from benchmark.networks.meta import on_meta\n"
        "with on_meta():\n"
        f"    [create_network(name, classes=10) for name in {names!r}]\n"
        "print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
