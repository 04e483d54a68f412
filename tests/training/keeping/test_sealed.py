"""No bit of a sealed file changes unnoticed, and nothing but the file itself passes for it."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.files import write_whole
from benchmark.training.keeping.heading import Damaged, Outdated, read_heading
from benchmark.training.keeping.sealed import digest_of, read_sealed, sealed

TENSORS = {
    "weight": torch.arange(24.0).view(2, 3, 4),
    "count": torch.tensor(3),
    "no": torch.ones(0),
}
ABOUT = {"identity": "a" * 64, "words": 'ein "Zitat" \\"seal\\":\\"', "stand": [1, 2]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.safetensors"
    write_whole(path, sealed("thing", ABOUT, TENSORS), durable=False)
    return path


def test_what_was_written_is_read(file: Path) -> None:
    heading, tensors = read_sealed(file, "thing")
    assert heading.about == ABOUT
    assert read_heading(file, "thing") == heading
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in tensors)


def test_any_program_reads_it_and_equal_contents_are_equal_files(file: Path) -> None:
    assert load_file(file).keys() == TENSORS.keys()
    again = b"".join(sealed("thing", ABOUT, dict(reversed(TENSORS.items()))))
    assert again == file.read_bytes()


def test_every_flipped_bit_is_noticed(file: Path) -> None:
    whole = file.read_bytes()
    draw = random.Random(0)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        with pytest.raises(Damaged):
            read_sealed(file, "thing")


def test_every_cut_and_every_growth_is_noticed_by_the_heading_alone(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(Damaged):
            read_heading(file, "thing")
    file.write_bytes(whole + b"\0")
    with pytest.raises(Damaged, match="longer"):
        read_heading(file, "thing")


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_noise_is_no_sealed_file(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "file"
    for content in (noise, struct.pack("<Q", len(noise)) + noise):
        path.write_bytes(content)
        with pytest.raises(Damaged):
            read_sealed(path, "thing")


def _nested(path: Path) -> None:
    save_file(TENSORS, path, metadata={"kdbench": '{"seal":"' + "[" * 100_000})


def _odd_header(path: Path) -> None:
    header = b'{"__metadata__":[1],"a":{"data_offsets":[0,"x"]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def _long_number(path: Path) -> None:
    header = b'{"__metadata__":{},"a":{"data_offsets":[0,' + b"9" * 5000 + b"]}}"
    path.write_bytes(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: save_file(TENSORS, path),
        lambda path: save_file(TENSORS, path, metadata={"identity": "a" * 64}),
        _nested,
        _odd_header,
        _long_number,
        lambda path: path.write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        lambda path: torch.save({"a": 1}, path),
    ],
)
def test_other_files_are_refused(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "file")
    for read in (read_heading, read_sealed):
        with pytest.raises(Damaged):
            read(tmp_path / "file", "thing")


def test_another_kind_and_another_form_are_told_apart(file: Path) -> None:
    with pytest.raises(Damaged, match="no file of weights"):
        read_sealed(file, "weights")
    words = {"seal": "0" * 64, "kind": "thing", "format": 99, "about": {}}
    save_file(TENSORS, file, metadata={"kdbench": json.dumps(words, separators=(",", ":"))})
    with pytest.raises(Outdated, match="form 99"):
        read_heading(file, "thing")


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_sealed(tmp_path / "none", "thing")
    with pytest.raises(OSError, match="directory"):
        read_sealed(tmp_path, "thing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Damaged, match="no plain file"):
        read_sealed(tmp_path / "pipe", "thing")


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.ones(2), "b": torch.zeros(3)},
        {"a": torch.ones(2), "c": torch.zeros(2)},
        {"a": torch.ones(2), "b": torch.zeros(2, 1)},
        {"a": torch.ones(2), "b": torch.zeros(2, dtype=torch.int32)},
        {"a": torch.ones(2), "b": -torch.zeros(2)},
    ],
)
def test_the_digest_is_of_names_types_shapes_and_bits(other: dict[str, Tensor]) -> None:
    own = {"a": torch.ones(2), "b": torch.zeros(2)}
    assert digest_of(own) == digest_of({"b": torch.zeros(2), "a": torch.ones(2)})
    assert digest_of(own) != digest_of(other)


def test_the_digest_does_not_depend_on_how_tensors_are_kept(file: Path) -> None:
    image = torch.randn(2, 3, 4, 4)
    assert digest_of({"a": image}) == digest_of({"a": image.to(memory_format=torch.channels_last)})
    assert digest_of({"a": torch.tensor(2.0, dtype=torch.bfloat16)})
    assert digest_of(load_file(file)) == digest_of(TENSORS)
