"""The official python archive of small-image data sets: pickled dictionaries of pixels and labels.

A pickle can run any program when it is read, and torchvision lets it. These are read by an
unpickler that knows numpy arrays and nothing else.
"""

from __future__ import annotations

import codecs
import io
import math
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct  # what numpy pickles

from benchmark.cards.card import Card, HubSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.found import Contents, Found, Surroundings
from benchmark.data.sources.parquet import local_folders, stamp
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError

_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


@dataclass(frozen=True)
class Archive:
    """Where an archive lies.

    Attributes:
        path: the folder, or the ``.tar.gz`` file that holds it.
        folder: name of the folder inside the file.
    """

    path: Path
    folder: str

    @property
    def files(self) -> list[Path]:
        """The files on disk that the contents depend on."""
        if self.path.is_dir():
            return [self.path / name for name in (*SPLITS, "meta")]
        return [self.path]

    def read(self, name: str) -> bytes:
        """The bytes of ``train``, ``test`` or ``meta``.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            if self.path.is_dir():
                return (self.path / name).read_bytes()
            with tarfile.open(self.path) as tar:
                # Read into memory by name: nothing of the archive is unpacked onto the disk.
                member = tar.extractfile(f"{self.folder}/{name}")
                if member is None:
                    raise KeyError(f"{self.folder}/{name} is no file")
                return member.read()
        except FileNotFoundError:
            raise DataError(
                f"{self.path / name} is missing. A '{self.folder}' folder holds train, test and "
                "meta; unpack the official archive again."
            ) from None
        except (OSError, EOFError, KeyError, tarfile.TarError) as error:
            raise DataError(
                f"{self.path} is damaged or no archive of '{self.folder}': {error}. "
                "Fetch the official archive again."
            ) from None


def open(card: Card, source: HubSource, around: Surroundings) -> Found | None:
    """The archive of a card in the data folder, None if it names none or none is there.

    Raises:
        DataError: a file of it is missing.
    """
    folders = local_folders(source, around.data_dir)
    archive = find_archive(folders, source.archive) if source.archive else None
    if archive is None:
        return None
    for path in archive.files:
        if not path.is_file():
            raise DataError(
                f"{path} is missing. The folder of the official archive holds train, test and "
                "meta; unpack the archive again."
            )
    return Found(
        f"official archive {archive.path}",
        tuple((path.name, *stamp(path)) for path in archive.files),
        lambda: read_archive(archive, source.label),
        decodes=True,
    )


def find_archive(folders: list[Path], name: str) -> Archive | None:
    """Look for the archive's folder or its ``.tar.gz`` in some folders, or for one that is it."""
    for folder in folders:
        for path in (folder / name, folder):
            if (path == folder / name and path.is_dir()) or (path / "meta").is_file():
                return Archive(path, name)
        if (packed := folder / f"{name}.tar.gz").is_file():
            return Archive(packed, name)
    return None


def read_archive(archive: Archive, label: str) -> Contents:
    """Unpickle an archive.

    Args:
        archive: where it lies.
        label: which labels are wanted: the archive has them under this name in the plural, and
            their names under ``<label>_names``.

    Raises:
        DataError: a file is missing, damaged, holds anything but arrays, or lacks a key.
    """
    splits: dict[SplitName, ImageSplit] = {}
    for split in SPLITS:
        values = _unpickle(archive, split, needs=("data", f"{label}s"))
        try:
            pixels = np.asarray(values["data"], dtype=np.uint8)
            edge = math.isqrt(pixels.shape[1] // 3)
            planes = pixels.reshape(-1, 3, edge, edge)
            images = torch.from_numpy(planes.transpose(0, 2, 3, 1).copy())
            labels = torch.tensor(values[f"{label}s"], dtype=torch.int64)
        except (IndexError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{archive.path}, file '{split}': these are no pixels and labels: {error}"
            ) from None
        splits[split] = ImageSplit(images, labels)
    names = _unpickle(archive, "meta", needs=(f"{label}_names",))[f"{label}_names"]
    return Contents(splits, tuple(str(name) for name in names))


class _ArrayUnpickler(pickle.Unpickler):
    """Reads built-in types and numpy arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """The constructor of an array; anything else is refused."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


def _unpickle(archive: Archive, name: str, *, needs: tuple[str, ...]) -> dict[str, Any]:
    """The dictionary in one file of the archive."""
    source = io.BytesIO(archive.read(name))
    try:
        # Python 2 wrote the official files; latin1 keeps its byte strings byte for byte.
        values = _ArrayUnpickler(source, encoding="latin1").load()
    except Exception as error:  # a broken pickle can fail in any way
        raise DataError(
            f"{archive.path}, file '{name}' cannot be read as a pickle of arrays: {error}. "
            "Fetch the official archive again."
        ) from None
    if not isinstance(values, dict) or not set(needs) <= set(values):
        found = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise DataError(
            f"{archive.path}, file '{name}' lacks {' or '.join(needs)}; it holds: {found}."
        )
    return values
