"""Published weights: which a name stands for, and where they are."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmark.errors import NetworkError, UnknownName
from benchmark.networks.creation import create_network
from benchmark.networks.published import published_file, published_name

SIZE = (32, 32)


def test_a_bare_name_stands_for_the_weights_that_timm_takes():
    assert published_name("timm/test_resnet") == "timm/test_resnet.r160_in1k"
    assert published_name("timm/test_resnet.r160_in1k") == "timm/test_resnet.r160_in1k"


def test_one_of_several_can_be_chosen():
    assert published_name("timm/resnet50.tv_in1k") == "timm/resnet50.tv_in1k"
    assert published_name("timm/resnet50") != "timm/resnet50.tv_in1k"


@pytest.mark.parametrize("name", ["resnet20", "timm/darknet17"])
def test_networks_without_any(name):
    with pytest.raises(NetworkError, match="no published weights"):
        published_name(name)


def test_an_unknown_tag_is_answered_with_those_there_are():
    with pytest.raises(UnknownName, match=r"Did you mean 'timm/resnet50\.a1_in1k'") as error:
        create_network("timm/resnet50.a1_in1", classes=7, image_size=SIZE)
    assert "timm/resnet50.tv_in1k" in str(error.value)


def test_the_network_starts_from_the_file_in_the_hubs_cache(published_weights: Path):
    assert published_file("timm/test_resnet") == published_weights
    network = create_network("timm/test_resnet", classes=7, image_size=SIZE, pretrained=True)
    published = load_file(published_weights)
    for name, value in network.model.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, published[name])
    assert network.classifier.out_features == 7


def test_without_connection_and_cache_one_message_says_what_to_do(no_published_weights: Path):
    with pytest.raises(NetworkError, match="cannot be had") as error:
        create_network("timm/test_resnet", classes=7, image_size=SIZE, pretrained=True)
    for part in ("does not answer", "hf download timm/test_resnet.r160_in1k", "HF_HOME"):
        assert part in str(error.value)


def test_what_the_hub_answers_is_told(no_published_weights: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*words: object, **options: object) -> str:
        raise ValueError("401 Client Error: gated repository")

    monkeypatch.setattr("benchmark.hub.reachable", lambda: True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(NetworkError, match="cannot be had: 401 Client Error"):
        published_file("timm/test_resnet")


def test_a_damaged_file_is_told(published_weights: Path):
    published_weights.write_bytes(published_weights.read_bytes()[:1000])
    with pytest.raises(NetworkError, match="cannot be had"):
        create_network("timm/test_resnet", classes=7, image_size=SIZE, pretrained=True)
