"""That what teachers say is kept: where, how exactly, and whether the disk holds it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from benchmark.errors import UsageError

Exactness = Literal["fp32", "fp16"]
DTYPES: dict[Exactness, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}


@dataclass(frozen=True)
class Keep:
    """What teachers say is kept.

    Attributes:
        folder: of the cache.
        exactness: ``fp32`` is what they say, bit for bit. With ``fp16`` it is rounded before anyone
            hears it, whether it is computed or read.
    """

    folder: Path
    exactness: Exactness = "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """Of the numbers that are kept."""
        return DTYPES[self.exactness]


@dataclass(frozen=True)
class Size:
    """How much one teacher says in a training.

    Attributes:
        epochs: of the training that are still to come, a recipe's first stages included.
        images: of an epoch.
        numbers: for an image: classes K and width of the embedding D.
        dtype: of a number.
    """

    epochs: int
    images: int
    numbers: int
    dtype: torch.dtype

    @property
    def of_all(self) -> int:
        """Bytes of all epochs."""
        return self.epochs * self.images * self.numbers * self.dtype.itemsize

    def __str__(self) -> str:
        """The product in words."""
        return (
            f"{self.epochs:,} epochs × {self.images:,} images × {self.numbers:,} numbers × "
            f"{self.dtype.itemsize} bytes = {in_words(self.of_all)}"
        )


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: where it is kept; need not be there.
        needed: bytes that are still to be written.

    Raises:
        UsageError: the disk has not got as many.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UsageError(
            f"keeping what the teachers say needs {in_words(needed)} more in {folder}, which has "
            f"{in_words(free)} free.\n"
            "Make room there ('kdbench data cache' lists what is kept), choose another cache "
            "folder with KDBENCH_CACHE, or leave out --keep-teacher-outputs."
        )


def in_words(size: float) -> str:
    """A number of bytes for a person."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:,.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
