"""The official python archive of small-image data sets: pickled dictionaries of pixels and labels.

A pickle can run any program when it is read, and torchvision lets it. These are never unpickled:
``pickled.py`` takes the plain values out of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from benchmark.cards.card import Card, HubSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.found import Contents, Found, Surroundings
from benchmark.data.sources.packed import Limits, Refused, check_sum, explained, members
from benchmark.data.sources.parquet import local_folders, stamp
from benchmark.data.sources.pickled import NotPlain, plain_values
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError, printable

_BYTES_AN_IMAGE = 400  # beside its pixels: labels, file name
_BYTES_OF_NAMES = 1 << 20


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

    def read(self, card: Card) -> Mapping[str, bytes]:
        """The bytes of ``train``, ``test`` and ``meta``; of a packed one nothing is unpacked.

        Raises:
            DataError: a file is missing, damaged, or larger than the card's images can need.
        """
        most = {
            split: card.splits[split] * (3 * card.image_size**2 + _BYTES_AN_IMAGE) + _BYTES_OF_NAMES
            for split in SPLITS
        } | {"meta": _BYTES_OF_NAMES}
        try:
            if self.path.is_dir():
                return {name: _bounded(self.path / name, size) for name, size in most.items()}
            with explained(self.path), self.path.open("rb") as file:
                check_sum(self.path, file, card)
                found = _members(file, {(self.folder, name): most[name] for name in most})
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error}. Fetch it again.") from None
        if missing := [name for name in most if name not in found]:
            raise DataError(
                f"{self.path} is damaged or no archive of '{self.folder}': it holds no "
                f"{' and no '.join(missing)}. Fetch the official archive again."
            )
        return found


def _bounded(path: Path, most: int) -> bytes:
    """A file of the unpacked archive."""
    if not path.is_file():
        raise DataError(
            f"{path} is missing. The folder of the official archive holds train, test and meta; "
            "unpack the archive again."
        )
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise DataError(
            f"{path} has more than the {most:,} bytes that the card's images can need. Correct "
            "the card, or fetch the official archive again."
        )
    return content


def _members(file: BinaryIO, most: Mapping[tuple[str, ...], int]) -> dict[str, bytes]:
    """Those files of a packed archive that are in its folder and wanted."""
    room = sum(most.values())
    limits = Limits(members=1000, file_bytes=room, total_bytes=2 * room)
    found = {}
    for member in members(file, limits):
        if member.content is not None and (wanted := member.parts) in most:
            content = member.content.read(most[wanted] + 1)
            if len(content) > most[wanted]:
                raise Refused(f"'{'/'.join(wanted)}' is larger than the card's images can need")
            found[wanted[-1]] = content
    return found


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
        lambda: read_archive(archive, card, source.label),
        decodes=True,
        files=tuple(archive.files),
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


def read_archive(archive: Archive, card: Card, label: str) -> Contents:
    """Take pixels, labels and names out of an archive.

    Args:
        archive: where it lies.
        card: counts its images, which bounds what is read.
        label: which labels are wanted: the archive has them under this name in the plural, and
            their names under ``<label>_names``.

    Raises:
        DataError: a file is missing, damaged, holds anything but arrays, or lacks a key.
    """
    files = archive.read(card)
    splits: dict[SplitName, ImageSplit] = {}
    for split in SPLITS:
        values = _values(archive, split, files[split], needs=("data", f"{label}s"))
        try:
            splits[split] = _split(values["data"], values[f"{label}s"])
        except (IndexError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise DataError(
                f"{archive.path}, file '{split}': these are no pixels and labels: {error}"
            ) from None
    key = f"{label}_names"
    names = _values(archive, "meta", files["meta"], needs=(key,))[key]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{archive.path}, file 'meta': {key} are no names.")
    return Contents(splits, tuple(names))


def _split(pixels: object, labels: object) -> ImageSplit:
    """Images and labels of what a file holds, which is compared before anything is copied."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise TypeError("data is no table of bytes")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise TypeError("the labels are no list of numbers")
    if len(labels) != len(pixels):
        raise ValueError(f"there are {len(pixels):,} images and {len(labels):,} labels")
    edge = math.isqrt(pixels.shape[1] // 3)
    planes = pixels.reshape(-1, 3, edge, edge)
    images = torch.from_numpy(planes.transpose(0, 2, 3, 1).copy())
    return ImageSplit(images, torch.tensor(labels, dtype=torch.int64))


def _values(
    archive: Archive, name: str, content: bytes, *, needs: tuple[str, ...]
) -> dict[str, Any]:
    """The dictionary in one file of the archive."""
    try:
        values = plain_values(content)
    except NotPlain as error:
        raise DataError(
            f"{archive.path}, file '{name}' cannot be read as a pickle of arrays: "
            f"{printable(str(error))}. Fetch the official archive again."
        ) from None
    if not isinstance(values, dict) or not set(needs) <= set(values):
        found = ", ".join(list(values)[:8]) if isinstance(values, dict) else type(values).__name__
        raise DataError(
            f"{archive.path}, file '{name}' lacks {' or '.join(needs)}; it holds: "
            f"{printable(found[:200])}."
        )
    return values
