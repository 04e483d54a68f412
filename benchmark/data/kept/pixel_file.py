"""Images of different sizes in one flat file that is mapped into memory.

    pixels of image 0, 1, 2, …   uint8, (H, W, 3) each, without gaps
    a record for each image      height, width and CRC-32 of its pixels, 12 bytes
    the trailer                  magic, short side, checksum of the records, counts, 32 bytes

The trailer is written last and says how long the file is: one that was cut short, or is something
else, has no trailer that fits. The checksum tells damage to the records; damage to the pixels is
looked for only when that is asked for, since it means reading everything.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from benchmark.data.splits import ImageList
from benchmark.errors import DataError

RECORD = np.dtype([("height", "<u4"), ("width", "<u4"), ("checksum", "<u4")])
_MAGIC = b"kdpixel1"
_TRAILER = struct.Struct("<8sIIQQ")
_RESIDENT_BYTES = 256 << 20
"""A process gives its share of the map back to the system when it has read so much."""


class NotPixelsError(ValueError):
    """A file is not what a complete file of pixels is; the message says why."""


class MappedImages:
    """Images in a file of pixels; reading one copies nothing and decodes nothing.

    The pixels belong to the system's page cache, which all processes share and which gives way when
    memory is short. So that they do not pile up in the resident memory of each process either, a
    process lets go of what it has read every 256 MB. A copy in another process, forked or pickled,
    maps the same file.

    Args:
        path: of the file.
        original: the images that the file was made from, if they are at hand.

    Raises:
        NotPixelsError: the file is damaged, cut short or another kind of file.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, *, original: ImageList | None = None) -> None:
        self._open(path)
        self._original = original
        self._rows = np.arange(len(self._index))

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._rows)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """One image (H, W, 3): a view of the map, which cannot be written to."""
        row = self._rows[position]
        start, stop = int(self._starts[row]), int(self._starts[row + 1])
        self._read_bytes += stop - start
        if self._read_bytes > _RESIDENT_BYTES:
            self._let_go()
        record = self._index[row]
        shape = int(record["height"]), int(record["width"]), 3
        return self._pixels[start:stop].reshape(shape)

    def select(self, positions: Sequence[int]) -> MappedImages:
        """Some of the images, in the given order, from the same map."""
        chosen = object.__new__(MappedImages)
        chosen.__dict__ |= self.__dict__
        chosen._rows = self._rows[np.asarray(positions, dtype=np.int64)]
        return chosen

    @property
    def path(self) -> Path:
        """The file that is mapped."""
        return self._path

    @property
    def short_side(self) -> int:
        """To how many pixels the short side of larger images was brought."""
        return self._short_side

    @property
    def original(self) -> ImageList | None:
        """The same images before they were made smaller; None if they are not at hand."""
        return None if self._original is None else self._original.select(self._rows.tolist())

    def damaged(self, advance: Callable[[int], None] = lambda _: None) -> list[int]:
        """The positions of images whose pixels have changed since they were written; reads all.

        Args:
            advance: is told how many more images were looked at.
        """
        found = []
        for position, row in enumerate(self._rows):
            if checksum(self[position]) != self._index[row]["checksum"]:
                found.append(position)
            advance(1)
        return found

    def __getstate__(self) -> dict[str, Any]:
        # Neither the map nor its index travels to another process: both are in the file.
        return {"path": self._path, "rows": self._rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        try:
            self._open(state["path"])
        except (OSError, NotPixelsError) as error:
            raise DataError(f"{state['path']} cannot be opened again: {error}") from None
        self._original = None
        self._rows = state["rows"]

    def _open(self, path: Path) -> None:
        with path.open("rb") as file:
            self._short_side, self._index = read_index(file)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._path = path
        self._pixels = np.frombuffer(self._map, dtype=np.uint8)
        self._starts = np.concatenate([np.zeros(1, dtype=np.int64), byte_counts(self._index)])
        np.cumsum(self._starts, out=self._starts)
        self._read_bytes = 0

    def _let_go(self) -> None:
        """Unmap the pages that were read; they stay in the page cache, and views stay valid."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
        self._read_bytes = 0


def checksum(image: NDArray[np.uint8]) -> int:
    """Of the pixels and the size of an image."""
    return zlib.crc32(image.data, zlib.crc32(struct.pack("<II", *image.shape[:2])))


def record_of(image: NDArray[np.uint8]) -> bytes:
    """The record of an image (H, W, 3)."""
    return struct.pack("<III", *image.shape[:2], checksum(image))


def byte_counts(index: NDArray[Any]) -> NDArray[np.int64]:
    """How long the pixels of each image are."""
    height, width = (index[side].astype(np.int64) for side in ("height", "width"))
    return height * width * 3


def trailing(records: bytes, short: int) -> bytes:
    """What follows the pixels in a complete file.

    Args:
        records: of all images, one after the other.
        short: to how many pixels the short side was brought.
    """
    index = np.frombuffer(records, dtype=RECORD)
    counts = len(index), int(byte_counts(index).sum())
    return records + _TRAILER.pack(_MAGIC, short, _index_checksum(records, short, counts), *counts)


def read_index(file: BinaryIO) -> tuple[int, NDArray[Any]]:
    """The short side and the records of a complete file; reads none of the pixels.

    Raises:
        NotPixelsError: the file is damaged, cut short or another kind of file.
    """
    size = file.seek(0, 2)
    if size < _TRAILER.size:
        raise NotPixelsError("it is cut short")
    file.seek(size - _TRAILER.size)
    magic, short, expected, images, pixels = _TRAILER.unpack(file.read(_TRAILER.size))
    if magic != _MAGIC:
        raise NotPixelsError("it is cut short or another kind of file")
    if size != pixels + images * RECORD.itemsize + _TRAILER.size:
        raise NotPixelsError("its length is not what it says")
    file.seek(pixels)
    records = file.read(images * RECORD.itemsize)
    index = np.frombuffer(records, dtype=RECORD)
    if expected != _index_checksum(records, short, (images, pixels)):
        raise NotPixelsError("its index is damaged")
    return short, index


def _index_checksum(records: bytes, short: int, counts: tuple[int, int]) -> int:
    return zlib.crc32(struct.pack("<IQQ", short, *counts), zlib.crc32(records))
