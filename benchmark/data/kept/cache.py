"""Decoded data sets on disk, so that images are decoded once and not at every start.

One safetensors file holds both splits; it is mapped into memory when it is read. Two processes that
want the same file do not both make it, and a damaged file is made anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.cards.card import SPLITS, SplitName
from benchmark.errors import DataError


@dataclass(frozen=True)
class Decoded:
    """What a source gives, not yet compared with the card.

    Attributes:
        images: by split, uint8 (N, H, W, 3).
        labels: by split, (N,) int64.
        class_names: by label; empty if the source tells none.
    """

    images: dict[SplitName, Tensor]
    labels: dict[SplitName, Tensor]
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class CacheFile:
    """A file of decoded images, finished or not.

    Attributes:
        dataset: name of the card that it was made for.
        size_bytes: on the disk.
        changed: when, in seconds since 1970.
    """

    path: Path
    dataset: str
    size_bytes: int
    changed: float


_KEPT = (".safetensors", ".pixels", ".partial", ".journal", ".tmp")


def cache_files(cache_dir: Path) -> list[CacheFile]:
    """All that is kept of decoded images, of every revision and size, the largest first.

    Nothing deletes the files of older revisions by itself: this tells which there are.
    """
    found = []
    for path in cache_dir.glob("*/*"):
        if path.suffix in _KEPT:
            with contextlib.suppress(FileNotFoundError):  # another process moved it meanwhile
                status = path.stat()
                found.append(CacheFile(path, path.parent.name, status.st_size, status.st_mtime))
    return sorted(found, key=lambda file: (-file.size_bytes, file.path))


def cached(path: Path, make: Callable[[], Decoded]) -> Decoded:
    """Read the file, or make its contents and write it.

    Args:
        path: names everything that the contents depend on.
        make: decodes or draws the images.

    Raises:
        DataError: the folder cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        lock.acquire()
    try:
        found = _read(path)
        if found is None:
            made = make()
            with explained(path):
                _write(path, made)
            # What was made is read back, so that a first start maps the file like any other.
            found = _read(path)
    finally:
        lock.release()
    if found is None:
        raise DataError(f"{path} cannot be read back after writing: the disk may be damaged.")
    return found


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system says about a file of the cache into what to do about it."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot keep decoded images in {path.parent}: {error}.\n"
            "Make room or give the folder write permission, or choose another cache folder with "
            "KDBENCH_CACHE."
        ) from None


def _read(path: Path) -> Decoded | None:
    """The contents of the file, or None if there is no whole one."""
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if notes.get("checksum") != _checksum(tensors):
            return None
        return Decoded(
            images={split: tensors[f"{split}_images"] for split in SPLITS},
            labels={split: tensors[f"{split}_labels"] for split in SPLITS},
            class_names=tuple(json.loads(notes["class_names"])),
        )
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _write(path: Path, decoded: Decoded) -> None:
    """Write the file whole or not at all."""
    tensors = {f"{split}_images": decoded.images[split] for split in SPLITS}
    tensors |= {f"{split}_labels": decoded.labels[split] for split in SPLITS}
    notes = {"checksum": _checksum(tensors), "class_names": json.dumps(decoded.class_names)}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata=notes)
        os.replace(temporary, path)
    except SafetensorError as error:
        raise OSError(str(error)) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Tells damage from data; safetensors itself notices only a file that is cut short."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].contiguous().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
