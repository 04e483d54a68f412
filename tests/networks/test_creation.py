import subprocess
import sys

import pytest
import torch

from benchmark.errors import NetworkError, UnknownName
from benchmark.networks.creation import create_network
from benchmark.networks.names import CIFAR_NETWORKS
from tests.networks.published_networks import FACTS


def test_lists_the_networks_of_the_field():
    assert sorted(info.name for info in CIFAR_NETWORKS) == sorted(FACTS)


@pytest.mark.parametrize("info", CIFAR_NETWORKS, ids=lambda info: info.name)
def test_says_what_networks_cost_without_building_them(info):
    assert info.parameters == FACTS[info.name]["parameters"]
    assert info.macs == FACTS[info.name]["macs"]


def test_listing_imports_neither_torch_nor_timm():
    code = (
        "import sys, benchmark.networks.names as c; c.CIFAR_NETWORKS;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'timm', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_network_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'resnet32x4'") as error:
        create_network("resnet32x", classes=10)
    assert "timm/NAME" in str(error.value)


def test_spelling_is_the_published_one():
    with pytest.raises(UnknownName, match="Did you mean 'MobileNetV2'"):
        create_network("mobilenetv2", classes=10)


def test_cifar_networks_have_no_pretrained_weights():
    with pytest.raises(NetworkError, match="timm/NAME only"):
        create_network("resnet8", classes=10, pretrained=True)


def test_builds_on_the_meta_device():
    with torch.device("meta"):
        network = create_network("vgg8", classes=10)
    assert all(p.is_meta for p in network.parameters())
