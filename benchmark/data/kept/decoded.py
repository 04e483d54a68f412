"""Images of one size decoded or drawn once and not at every start.

One safetensors file holds both splits. Two processes that want the same file do not both make it,
and a damaged file is named and made anew: a checksum over all that is taken from it is compared at
every start. It is read into the memory and not mapped, so that what was compared is what is used,
and a file that somebody cuts short ends no process. CIFAR-100 (184 MB), one core of a shared server
(x86-64, file in the page cache): 0.28 s, of which the checksum takes 0.07.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from benchmark.cards.fields import SPLITS
from benchmark.data.found import Contents
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError, first_line
from benchmark.events import Listener
from benchmark.files import whole

# What reading a damaged file may end in.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError)
_KINDS = {"U8": torch.uint8, "I64": torch.int64}


def keep_decoded(
    path: Path, make: Callable[[], Contents], listener: Listener | None = None
) -> Contents:
    """Read the file, or make its contents and write it.

    Args:
        path: names everything that the contents depend on.
        make: decodes or draws the images, all of one size.
        listener: hears of a damaged file.

    Raises:
        DataError: the folder cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        lock.acquire()
    try:
        try:
            found = _read(path)
        except _DAMAGED as error:
            found = None
            (listener or Listener()).note(f"{path} is damaged ({error}) and made anew")
        if found is None:
            made = make()
            with explained(path):
                _write(path, made)
            try:
                found = _read(path)
            except _DAMAGED:
                found = None
    finally:
        lock.release()
    if found is None:
        raise DataError(f"{path} cannot be read back after writing: the disk may be damaged.")
    return found


def fault_of(path: Path) -> str | None:
    """What is wrong with a file, all of which is read; None if nothing is."""
    try:
        _read(path)
    except _DAMAGED as error:
        return first_line(error)
    return None


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
    """The contents of the file, or None if there is none, or one of an older version.

    Raises:
        Exception: one of ``_DAMAGED``: it is.
    """
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:start].tobytes())
    notes = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = torch.from_numpy(content[start + begin : start + end]).view(_KINDS[entry["dtype"]])
        tensors[name] = values.view(entry["shape"])
    if "sum" not in notes:
        return None
    class_names = tuple(json.loads(notes["class_names"]))
    if notes["sum"] != _checksum(tensors, class_names):
        raise ValueError("its checksum is another")
    splits = {
        split: ImageSplit(tensors[f"{split}_images"], tensors[f"{split}_labels"])
        for split in SPLITS
    }
    return Contents(splits, class_names)


def _write(path: Path, contents: Contents) -> None:
    """Write the file whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for split in SPLITS:
        part = contents.splits[split]
        if not isinstance(part.images, Tensor):
            raise TypeError(f"the images of {path} are not decoded")
        tensors |= {f"{split}_images": part.images, f"{split}_labels": part.labels}
    names = contents.class_names
    notes = {"sum": _checksum(tensors, names), "class_names": json.dumps(names)}
    try:
        with whole(path, durable=False) as partial:  # its checksum tells what a crash left
            save_file(tensors, partial, metadata=notes)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def _checksum(tensors: dict[str, Tensor], class_names: tuple[str, ...]) -> str:
    """Tells damage from data; safetensors itself notices only a file that is cut short."""
    shapes = [
        [name, str(tensors[name].dtype), list(tensors[name].shape)] for name in sorted(tensors)
    ]
    value = zlib.crc32(json.dumps([shapes, class_names]).encode())
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].contiguous().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
