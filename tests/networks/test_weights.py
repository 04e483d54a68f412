import argparse
import contextlib
import functools
import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import NetworkError
from benchmark.files import file_digest
from benchmark.networks.creation import create_network
from benchmark.networks.weights import load_weights
from tests.support.fuzzing import fuzzed

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


# Files made to do harm


def zipped(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def test_a_bomb_is_not_unpacked(target, tmp_path):
    torch.save({"fc.weight": torch.zeros(30_000_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain:
        entries = {name: plain.read(name) for name in plain.namelist()}
    path = zipped(tmp_path / "w.pt", **entries)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(NetworkError, match="would unpack to 120,"):
        load_weights(target, path)


def test_a_tensor_of_a_trillion_elements_is_never_made(source, target, tmp_path):
    one = torch.zeros(1)
    for shape in ((10**6, 10**6), (10**6, 10**6, 1, 1)):
        state = source.state_dict() | {"fc.weight": one.expand(shape)}
        torch.save(state, tmp_path / "w.pt")
        with pytest.raises(NetworkError, match="1000000x1000000"):
            load_weights(target, tmp_path / "w.pt")


@pytest.mark.parametrize("shape", ["[1000000,1000000]", "[-1]", "[18446744073709551615,2]"])
def test_a_header_of_safetensors_is_not_believed(shape, target, tmp_path):
    header = f'{{"fc.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,4]}}}}'.encode()
    path = tmp_path / "w.safetensors"
    for length in (len(header), 2**63, 2**40, 0):
        path.write_bytes(length.to_bytes(8, "little") + header + bytes(4))
        with pytest.raises(NetworkError, match="not a checkpoint that can be read"):
            load_weights(target, path)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(number, source, target, tmp_path):
    state = source.state_dict()
    state["bn1.running_var"][3] = number
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(NetworkError, match=r"bn1\.running_var"):
        load_weights(target, tmp_path / "w.pt")


def test_tensors_that_hold_no_plain_numbers_are_refused(source, target, tmp_path):
    for odd in (torch.zeros(10, 64).to_sparse(), torch.zeros(10, 64, device="meta")):
        torch.save(source.state_dict() | {"fc.weight": odd}, tmp_path / "w.pt")
        with pytest.raises(NetworkError):
            load_weights(target, tmp_path / "w.pt")


def test_containers_that_hold_themselves_end(target, tmp_path):
    content: dict[str, object] = {}
    content["model"] = content
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(NetworkError, match="holds no weights"):
        load_weights(target, tmp_path / "w.pt")


def test_names_do_not_steer_the_terminal(source, target, tmp_path):
    torch.save(source.state_dict() | {"\x1b[2J" + "x" * 10_000: torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(NetworkError) as error:
        load_weights(target, tmp_path / "w.pt")
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@fuzzed
@given(changes=st.lists(st.tuples(st.integers(0, 10**9), st.binary(min_size=1, max_size=9)),
                        min_size=1, max_size=4))  # fmt: skip
def test_any_bytes_are_weights_or_an_error(suffix, changes):
    content = bytearray(saved(suffix))
    for place, other in changes:
        # What stands at the ends is read as a description.
        ends = (*range(min(9000, len(content))), *range(-9000, 0))
        content[ends[place % len(ends)]] = other[0]
    network = create_network("resnet8", classes=2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"w{suffix}")
        path.write_bytes(content)
        with contextlib.suppress(NetworkError):
            load_weights(network, path)


@functools.cache
def saved(suffix: str) -> bytes:
    state, stream = create_network("resnet8", classes=2).state_dict(), io.BytesIO()
    if suffix == ".safetensors":
        return safetensors.torch.save(state)
    torch.save(state, stream)
    return stream.getvalue()
