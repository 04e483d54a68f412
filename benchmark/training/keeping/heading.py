"""What a sealed file says of itself: read without its tensors, and without torch."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

FORMAT = 1  # raised when what a sealed file is changes
ENTRY = "kdbench"  # of the metadata of the safetensors file
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


def read_heading(path: Path, kind: str) -> Heading:
    """What a sealed file says of itself; only its length is checked, not its seal.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        Damaged: it is no whole file of this kind.
    """
    with opened(path) as file:
        return heading_in(file, kind)


def heading_in(file: BinaryIO, kind: str) -> Heading:
    """What an open file says of itself, read from its beginning.

    Raises:
        OSError: it cannot be read.
        Damaged: it is no whole file of this kind.
    """
    size = _size(file)
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(_LONGEST_HEADER, size - 8):
        raise Damaged("it is cut short, or no such file")
    try:
        header = json.loads(file.read(length))
        entry = header.pop("__metadata__")[ENTRY]
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


def opened(path: Path) -> BinaryIO:
    """A file to read, without waiting for the other end of a pipe."""
    flag = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | flag))


def _size(file: BinaryIO) -> int:
    """The size of a file in bytes."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("it is no plain file")
    return status.st_size
