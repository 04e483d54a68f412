"""The moving average of the weights, against a slow version."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network
from benchmark.training.updates.averaging import WeightAverage


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return create_network("resnet8", classes=4).to(memory_format=torch.channels_last)


def step(network: Network) -> None:
    """Changes parameters, and BatchNorm's statistics and counter."""
    network.train()
    network(torch.randn(4, 3, 32, 32))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)


def copied(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_it_is_the_average_that_the_definition_says(network: Network, decay: float) -> None:
    average, slow = WeightAverage(network, decay), copied(network)
    for n in range(12):
        step(network)
        average.update()
        d = min(decay, (1 + n) / (10 + n))
        for name, value in copied(network).items():
            real = value.is_floating_point()
            slow[name] = d * slow[name] + (1 - d) * value if real else value
    for name, value in average.network.state_dict().items():
        torch.testing.assert_close(value, slow[name])


def test_the_average_is_for_evaluation_and_leaves_the_network_alone(network: Network) -> None:
    before = copied(network)
    average = WeightAverage(network, 0.9)
    average.update()
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    weights = [p for p in average.network.parameters() if p.ndim == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


def test_it_continues_from_its_state_to_the_bit(network: Network) -> None:
    average = WeightAverage(network, 0.99)
    for _ in range(3):
        step(network)
        average.update()
    again = WeightAverage(network, 0.99)
    again.load_state_dict(average.state_dict())
    step(network)
    average.update()
    again.update()
    for one, other in zip(
        average.network.state_dict().values(), again.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
