"""Networks of timm leave out residual branches if asked to; others say that they cannot."""

from __future__ import annotations

import pytest
import torch
from timm.layers.drop import DropPath

from benchmark.errors import NetworkError
from benchmark.networks.creation import create_network


def test_the_largest_rate_is_the_asked_one_and_evaluation_leaves_nothing_out() -> None:
    torch.manual_seed(0)
    network = create_network("timm/resnet18", classes=4, image_size=(64, 64), drop_path=0.2)
    rates = [part.drop_prob for part in network.modules() if isinstance(part, DropPath)]
    assert max(rates) == pytest.approx(0.2)
    torch.manual_seed(0)
    plain = create_network("timm/resnet18", classes=4, image_size=(64, 64)).eval()
    assert plain.state_dict().keys() == network.state_dict().keys()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(plain(images).logits, network.eval()(images).logits)


@pytest.mark.parametrize("name", ["timm/vgg11", "resnet8"])
def test_a_network_that_cannot_is_refused(name: str) -> None:
    with pytest.raises(NetworkError, match=f"'{name}' has no residual branches"):
        create_network(name, classes=4, image_size=(64, 64), drop_path=0.1)
