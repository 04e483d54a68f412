import subprocess
import sys

import torch
from torch import nn

from benchmark.networks.cost import count_macs, count_parameters
from benchmark.networks.creation import create_network


def test_shared_parameters_count_once():
    layer = nn.Linear(3, 5)
    assert count_parameters([layer, nn.Sequential(layer, nn.Linear(5, 2))]) == 20 + 12


def test_frozen_parameters_count():
    assert count_parameters([nn.Linear(3, 5).requires_grad_(False)]) == 20


def test_macs_grow_with_the_image():
    network = create_network("resnet8", classes=100)
    small, large = count_macs(network, (32, 32)), count_macs(network, (64, 64))
    head = 64 * 100
    assert large - head == 4 * (small - head)


def test_counting_leaves_no_trace():
    network = create_network("resnet8", classes=10).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    random = torch.get_rng_state()
    count_macs(network, (32, 32))
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_macs_of_a_transformer_count_every_token():
    network = create_network("timm/vit_tiny_patch16_224", classes=10, image_size=(32, 32))
    width, tokens = 192, 2 * 2 + 1
    patches = 4 * 3 * 16 * 16 * width
    block = tokens * width * width * (3 + 1 + 4 + 4)
    assert count_macs(network, (32, 32)) == patches + 12 * block + width * 10


def test_counting_does_without_the_compiler():
    """Its import takes longer than all that is counted."""
    code = (
        "import sys\n"
        "from benchmark.networks.cost import count_macs\n"
        "from benchmark.networks.creation import create_network\n"
        "count_macs(create_network('resnet8', classes=4), (32, 32))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
