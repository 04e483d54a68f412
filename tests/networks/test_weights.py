import argparse
import hashlib
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from benchmark.errors import NetworkError
from benchmark.files import file_digest
from benchmark.networks.creation import create_network
from benchmark.networks.weights import load_weights

OPTIONS = argparse.Namespace(lr=0.05, model="resnet8")
WRAPPINGS = {
    "plain": lambda state: state,
    "model": lambda state: {"model": state, "accuracy": 72.3, "opt": OPTIONS, "epoch": 240},
    "state_dict": lambda state: {"state_dict": state, "best_acc1": torch.tensor(72.3)},
    "parallel": lambda state: {"model": {f"module.{k}": v for k, v in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{k}": v for k, v in state.items()},
    "both": lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
    "old": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
}


@pytest.fixture
def source():
    return create_network("resnet8", classes=10)


@pytest.fixture
def target():
    return create_network("resnet8", classes=10)


def assert_equal(a, b):
    assert all(torch.equal(value, b.state_dict()[key]) for key, value in a.state_dict().items())


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_reads_what_people_have(wrapping, source, target, tmp_path):
    torch.save(WRAPPINGS[wrapping](source.state_dict()), tmp_path / "weights.pth")
    load_weights(target, tmp_path / "weights.pth")
    assert_equal(source, target)


def test_reads_safetensors(source, target, tmp_path):
    safetensors.torch.save_file(source.state_dict(), tmp_path / "weights.safetensors")
    load_weights(target, str(tmp_path / "weights.safetensors"))
    assert_equal(source, target)


@pytest.mark.parametrize("name", ["vgg8", "MobileNetV2"])
def test_reads_networks_whose_classifier_is_named_so(name, tmp_path):
    source, target = (create_network(name, classes=3) for _ in range(2))
    torch.save(source.state_dict(), tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt")
    assert_equal(source, target)


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_18"])
def test_reads_files_of_timm(name, tmp_path):
    network = create_network(f"timm/{name}", classes=3)
    state = {k.removeprefix("model."): v for k, v in network.state_dict().items()}
    if name == "resnetv2_18":  # its published classifier is a 1x1 convolution
        state["head.fc.weight"] = state["head.fc.weight"][:, :, None, None]
    torch.save(state, tmp_path / "w.pt")
    target = create_network(f"timm/{name}", classes=3)
    load_weights(target, tmp_path / "w.pt")
    assert_equal(network, target)


def test_missing_file(target, tmp_path):
    with pytest.raises(NetworkError, match=r"no file of weights at .*nowhere\.pt"):
        load_weights(target, tmp_path / "nowhere.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_file(suffix, damage, source, target, tmp_path):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(source.state_dict(), path)
    else:
        safetensors.torch.save_file(source.state_dict(), path)
    whole = path.read_bytes()
    damaged = {"truncated": whole[: len(whole) // 2], "text": b"<html>no", "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(NetworkError, match="not a checkpoint that can be read"):
        load_weights(target, path)


def test_code_in_a_checkpoint_is_not_run(target, tmp_path):
    torch.save({"model": Path("/etc")}, tmp_path / "w.pt")
    with pytest.raises(NetworkError, match="not a checkpoint that can be read"):
        load_weights(target, tmp_path / "w.pt")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"epoch": 3}}])
def test_file_without_weights(content, target, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(NetworkError, match="holds no weights"):
        load_weights(target, tmp_path / "w.pt")


def test_another_architecture(target, tmp_path):
    torch.save(create_network("wrn_16_1", classes=10).state_dict(), tmp_path / "w.pt")
    with pytest.raises(NetworkError, match="weights of another network") as error:
        load_weights(target, tmp_path / "w.pt")
    assert "missing in the file: bn1.num" not in str(error.value)
    assert "missing in the file: layer1.0.conv1.weight" in str(error.value)
    assert "not in the network: block1.layer.0.bn1.weight" in str(error.value)
    assert "more" in str(error.value)


def test_other_widths(source, target, tmp_path):
    wider = {"conv1.weight": torch.zeros(32, 3, 3, 3), "fc.weight": torch.zeros(10, 256)}
    torch.save(source.state_dict() | wider, tmp_path / "w.pt")
    with pytest.raises(NetworkError, match="of other widths") as error:
        load_weights(target, tmp_path / "w.pt")
    assert "conv1.weight 32x3x3x3 for 16x3x3x3" in str(error.value)


def test_other_classes_leave_the_network_as_it_was(source, tmp_path):
    torch.save(source.state_dict(), tmp_path / "w.pt")
    target = create_network("resnet8", classes=100)
    before = target.conv1.weight.clone()
    with pytest.raises(NetworkError, match="for 10 classes, the data set has 100"):
        load_weights(target, tmp_path / "w.pt")
    assert torch.equal(target.conv1.weight, before)


def test_digest_is_sha256(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"abc")
    assert file_digest(tmp_path / "w.pt") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.realdata
def test_published_resnet56_loads():
    path = Path(os.environ.get("KDBENCH_DATA", ""), "weights", "resnet56-cifar100.pt")
    if "KDBENCH_DATA" not in os.environ or not path.is_file():
        pytest.skip("KDBENCH_DATA names no folder with weights/resnet56-cifar100.pt")
    network = create_network("resnet56", classes=100)
    fresh = network.fc.weight.clone()
    load_weights(network, path)
    assert not torch.equal(network.fc.weight, fresh)
    assert network.bn1.running_var.min() >= 0
