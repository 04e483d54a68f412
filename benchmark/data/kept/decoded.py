"""Images of one size decoded or drawn once and not at every start.

One safetensors file holds both splits; it is mapped into memory when it is read. Two processes that
want the same file do not both make it, and a damaged file is made anew.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.cards.fields import SPLITS
from benchmark.data.found import Contents
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError
from benchmark.files import whole


def keep_decoded(path: Path, make: Callable[[], Contents]) -> Contents:
    """Read the file, or make its contents and write it.

    Args:
        path: names everything that the contents depend on.
        make: decodes or draws the images, all of one size.

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


def _read(path: Path) -> Contents | None:
    """The contents of the file, or None if there is no whole one."""
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if notes.get("checksum") != _checksum(tensors):
            return None
        splits = {
            split: ImageSplit(tensors[f"{split}_images"], tensors[f"{split}_labels"])
            for split in SPLITS
        }
        return Contents(splits, tuple(json.loads(notes["class_names"])))
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _write(path: Path, contents: Contents) -> None:
    """Write the file whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for split in SPLITS:
        part = contents.splits[split]
        if not isinstance(part.images, Tensor):
            raise TypeError(f"the images of {path} are not decoded")
        tensors |= {f"{split}_images": part.images, f"{split}_labels": part.labels}
    notes = {"checksum": _checksum(tensors), "class_names": json.dumps(contents.class_names)}
    try:
        with whole(path, durable=False) as partial:  # its checksum tells what a crash left
            save_file(tensors, partial, metadata=notes)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Tells damage from data; safetensors itself notices only a file that is cut short."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].contiguous().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
