"""Files of pixels: where an image lies in them, and whether it is still what was written.

Every image carries a checksum over its pixels, its sides and its position, which is compared at
every reading, in whatever process. That costs a tenth of what the loader does for an image (one
core of a shared server, image size 112, augmentation of CUB: 1,290 instead of 1,430 images/s), and
less than a hundredth of a training step.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmark.data.splits import ImageList
from benchmark.errors import DataError, DisturbanceError, first_line

Image = NDArray[np.uint8]

_LEAST_IMAGES = 256  # of a file: at most so many are decoded again after an interruption
_MOST_FILES = 128  # every process holds them open
# What opening or reading a damaged file may end in.
UNREADABLE = (OSError, ValueError, TypeError, LookupError, pa.ArrowException)
_FIELDS = [
    ("pixels", pa.large_binary()),
    ("height", pa.int32()),
    ("width", pa.int32()),
    ("checksum", pa.uint32()),
]


@dataclass(frozen=True)
class PixelFiles:
    """The files of a split in their folder.

    Attributes:
        folder: of the files.
        images: in all of them.
        short_side: to how many pixels the short side of larger images was brought.
    """

    folder: Path
    images: int
    short_side: int

    @property
    def per_file(self) -> int:
        """Images of every file but the last."""
        return max(_LEAST_IMAGES, -(-self.images // _MOST_FILES))

    @property
    def paths(self) -> list[Path]:
        """The files in the order of their images."""
        count = -(-self.images // self.per_file)
        return [self.folder / f"{number:05d}-of-{count:05d}.arrow" for number in range(count)]

    def positions(self, number: int) -> range:
        """Positions of the images that a file holds."""
        start = number * self.per_file
        return range(start, min(start + self.per_file, self.images))

    @property
    def schema(self) -> pa.Schema:
        """Of every file; says what the folder holds."""
        notes = {"images": str(self.images), "short_side": str(self.short_side)}
        return pa.schema(_FIELDS, metadata=notes)

    def open(self, number: int) -> Any:
        """A reader of a whole file.

        Raises:
            FileNotFoundError: it is not there.
            OSError, ValueError: it is damaged, cut short, or holds something else.
        """
        reader = pa.ipc.open_file(pa.OSFile(str(self.paths[number])))
        if not reader.schema.equals(self.schema, check_metadata=True):
            raise ValueError("it holds other images")
        if reader.num_record_batches != len(self.positions(number)):
            raise ValueError(f"it holds {reader.num_record_batches:,} images")
        return reader


class KeptImages:
    """Images in a folder of files; reading one decodes nothing.

    A copy in another process, forked or pickled, reads the same files.

    Args:
        files: of the images.
        original: the images that the files were made from, if they are at hand.

    Raises:
        FileNotFoundError: a file is not there.
        OSError, ValueError: a file is damaged, cut short, or holds something else.
    """

    def __init__(self, files: PixelFiles, *, original: ImageList | None = None) -> None:
        self._original = original
        self._rows = np.arange(files.images)
        self._open(files)

    @classmethod
    def of_one(cls, files: PixelFiles, number: int) -> KeptImages:
        """The images as far as one file holds them.

        Raises:
            OSError, ValueError: it is damaged, cut short, or holds something else.
        """
        chosen = object.__new__(cls)
        chosen._original, chosen._rows, chosen._files = None, np.arange(files.images), files
        chosen._readers = {number: files.open(number)}
        return chosen

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._rows)

    def __getitem__(self, position: int) -> Image:
        """One image (H, W, 3), which cannot be written to.

        Raises:
            DisturbanceError: its file is damaged.
        """
        number, row = divmod(int(self._rows[position]), self._files.per_file)
        try:
            batch = self._readers[number].get_batch(row)
            # The buffers themselves: Arrow's scalars would cost a third of the time.
            pixels, height, width, sum_ = (column.buffers()[-1] for column in batch.columns)
            (high,), (wide,) = (
                np.frombuffer(side, np.int32, 1).tolist() for side in (height, width)
            )
            image = np.frombuffer(pixels, np.uint8, 3 * high * wide).reshape(high, wide, 3)
            (written,) = np.frombuffer(sum_, np.uint32, 1)
            if written != image_checksum(image, int(self._rows[position])):
                raise ValueError("a checksum in it is another")
        except UNREADABLE as error:
            raise self._damaged(number, error) from None
        return image

    def _damaged(self, number: int, error: Exception) -> DisturbanceError:
        """What is said of a file, which is taken away so that the next start makes it again."""
        path = self._files.paths[number]
        taken = " It was taken away, and the next start makes it again."
        try:
            path.unlink(missing_ok=True)
        except OSError as fault:
            taken = f" Delete it ({fault.strerror}), and the next start makes it again."
        return DisturbanceError(f"{path} is damaged: {first_line(error)}.{taken}")

    def select(self, positions: Sequence[int]) -> KeptImages:
        """Some of the images, in the given order, from the same files."""
        chosen = object.__new__(KeptImages)
        chosen.__dict__ |= self.__dict__
        chosen._rows = self._rows[np.asarray(positions, dtype=np.int64)]
        return chosen

    @property
    def short_side(self) -> int:
        """To how many pixels the short side of larger images was brought."""
        return self._files.short_side

    @property
    def original(self) -> ImageList | None:
        """The same images before they were made smaller; None if they are not at hand."""
        return None if self._original is None else self._original.select(self._rows.tolist())

    def __getstate__(self) -> dict[str, Any]:
        # Neither readers nor originals travel to another process.
        return {"files": self._files, "rows": self._rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        try:
            self._open(state["files"])
        except UNREADABLE as error:
            folder = state["files"].folder
            raise DataError(f"{folder} cannot be opened again: {first_line(error)}") from None
        self._original, self._rows = None, state["rows"]

    def _open(self, files: PixelFiles) -> None:
        self._files = files
        self._readers = {number: files.open(number) for number in range(len(files.paths))}


def check_pixels(folder: Path, *, advance: Callable[[int], None]) -> list[str]:
    """Read all that a folder holds.

    Args:
        folder: of a split; it may hold a part only.
        advance: is told how many more images were read.

    Returns:
        What is wrong with it, an entry a file; such a file was taken away.
    """
    found = []
    for path in sorted(folder.glob("*.arrow")):
        try:
            files, number = _place_of(path)
            images = KeptImages.of_one(files, number)
            for position in files.positions(number):
                images[position]
                advance(1)
        except DisturbanceError as error:
            found.append(str(error))
        except UNREADABLE as error:
            path.unlink(missing_ok=True)
            found.append(f"{path} was damaged and taken away: {first_line(error)}.")
    return found


def fault_of(path: Path) -> str | None:
    """What is wrong with one file, as far as its heading and its length tell; None if nothing."""
    try:
        files, number = _place_of(path)
        files.open(number)
    except UNREADABLE as error:
        return first_line(error)
    return None


def _place_of(path: Path) -> tuple[PixelFiles, int]:
    """The files to which one belongs, by its own heading, and its number.

    Raises:
        Exception: one of ``UNREADABLE``: it is damaged, or none of them.
    """
    notes = pa.ipc.open_file(pa.OSFile(str(path))).schema.metadata or {}
    files = PixelFiles(path.parent, int(notes[b"images"]), int(notes[b"short_side"]))
    return files, files.paths.index(path)


def image_checksum(image: Image, position: int) -> int:
    """Tells an image in its place from a damaged one, and from another of the same file."""
    return zlib.crc32(image.data, zlib.crc32(struct.pack("<3q", position, *image.shape[:2])))
