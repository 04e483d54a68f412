import pytest
import torch

from tests.networks.published_networks import FACTS


@pytest.fixture(params=sorted(FACTS))
def name(request):
    """Every CIFAR network by name."""
    return request.param


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
