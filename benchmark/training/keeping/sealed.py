"""Sealed files: tensors, what they are, and a digest over every byte that is checked before use.

The file is a safetensors file as any program reads it. Of its metadata one entry is ours: JSON with
the seal, the kind of the file, the version of its form, and what the tensors are. The seal is the
sha256 of the whole file with zeros in its own place, so that no bit of the file can change
unnoticed, names and shapes included. safetensors itself notices only a file that is cut short.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from benchmark.files import Content

FORMAT = 1  # raised when what a sealed file is changes
_ENTRY = "kdbench"
_OPEN = "0" * 64  # in the place of the seal while its digest is computed
_BEFORE = rb"\"seal\":\""  # JSON within JSON: the first such place of a header is the seal's
_LONGEST_HEADER = 100_000_000  # bytes, safetensors' own limit


class Damaged(Exception):
    """A file is not what was written, or of another kind; says why."""


class Outdated(Damaged):
    """A file has a form that this version of kdbench does not read."""


@dataclass(frozen=True)
class Heading:
    """What a file says of itself.

    Attributes:
        about: what the tensors are, as the writer described them.
        seal: sha256 of the file.
    """

    about: Mapping[str, Any]
    seal: str


def sealed(kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Content]:
    """The bytes of a sealed file, in pieces.

    Args:
        kind: what the file is for: another kind of file is never taken for it.
        about: what the tensors are, as JSON can hold it.
        tensors: contiguous, on the CPU, none of which shares memory with another.
    """
    words = {"seal": _OPEN, "kind": kind, "format": FORMAT, "about": about}
    text = json.dumps(words, separators=(",", ":"), allow_nan=False)
    content = save(dict(tensors), metadata={_ENTRY: text})
    place = _place_of_seal(content)
    head, rest = content[:place], memoryview(content)[place + len(_OPEN) :]
    seal = hashlib.sha256(head + _OPEN.encode())
    seal.update(rest)
    return [head, seal.hexdigest().encode(), rest]


def read_sealed(path: Path, kind: str) -> tuple[Heading, dict[str, Tensor]]:
    """What a sealed file holds, after all of it was checked.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        Damaged: it is not what was written.
    """
    with _open(path) as file:
        heading = _heading(file, kind)
        file.seek(0)
        content = file.read()
    place = _place_of_seal(content)
    digest = hashlib.sha256(content[:place] + _OPEN.encode())
    digest.update(memoryview(content)[place + len(_OPEN) :])
    if content[place : place + len(_OPEN)] != digest.hexdigest().encode():
        raise Damaged("its seal is broken: some of its bytes are not those that were written")
    try:
        return heading, load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise Damaged(f"its tensors cannot be read: {error}") from None


def read_heading(path: Path, kind: str) -> Heading:
    """What a sealed file says of itself; only its length is checked, not its seal.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        Damaged: it is no whole file of this kind.
    """
    with _open(path) as file:
        return _heading(file, kind)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Sha256 of tensors by name, however they are kept: names, types, shapes and values."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        words = [name, str(tensor.dtype), list(tensor.shape)]
        whole.update(json.dumps(words, separators=(",", ":")).encode())
        if tensor.numel():
            whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _place_of_seal(content: bytes) -> int:
    length = int.from_bytes(content[:8], "little")
    place = content.find(_BEFORE, 8, 8 + length)
    if place < 0 or place + len(_BEFORE) + len(_OPEN) > 8 + length:
        raise Damaged("it has no seal")
    return place + len(_BEFORE)


def _heading(file: BinaryIO, kind: str) -> Heading:
    size = _size(file)
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(_LONGEST_HEADER, size - 8):
        raise Damaged("it is cut short, or no such file")
    try:
        header = json.loads(file.read(length))
        entry = header.pop("__metadata__")[_ENTRY]
        stop = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
        words = json.loads(entry)
        found, form, about, seal = (words[key] for key in ("kind", "format", "about", "seal"))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise Damaged("its header cannot be read") from None
    if 8 + length + stop != size:
        raise Damaged("it is cut short, or longer than it was written")
    if found != kind or not isinstance(about, dict):
        raise Damaged(f"it is no file of {kind}")
    if form != FORMAT:
        raise Outdated(f"it has the form {form} of another version of kdbench")
    return Heading(about, seal)


def _open(path: Path) -> BinaryIO:
    """A file to read, without waiting for the other end of a pipe."""
    flag = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | flag))


def _size(file: BinaryIO) -> int:
    """The size of a file in bytes."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("it is no plain file")
    return status.st_size
