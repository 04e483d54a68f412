"""Sealed files: tensors, what they are, and a digest over every byte that is checked before use.

The file is a safetensors file as any program reads it. Of its metadata one entry is ours: JSON with
the seal, the kind of the file, the version of its form, and what the tensors are. The seal is the
sha256 of the whole file with zeros in its own place, so that no bit of the file can change
unnoticed, names and shapes included. safetensors itself notices only a file that is cut short.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from benchmark.files import Content
from benchmark.training.keeping.heading import ENTRY, FORMAT, Damaged, Heading, heading_in, opened

_OPEN = "0" * 64  # in the place of the seal while its digest is computed
_BEFORE = rb"\"seal\":\""  # JSON within JSON: the first such place of a header is the seal's


def sealed(kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Content]:
    """The bytes of a sealed file, in pieces.

    Args:
        kind: what the file is for: another kind of file is never taken for it.
        about: what the tensors are, as JSON can hold it.
        tensors: contiguous, on the CPU, none of which shares memory with another.
    """
    words = {"seal": _OPEN, "kind": kind, "format": FORMAT, "about": about}
    text = json.dumps(words, separators=(",", ":"), allow_nan=False)
    content = save(dict(tensors), metadata={ENTRY: text})
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
    with opened(path) as file:
        heading = heading_in(file, kind)
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
