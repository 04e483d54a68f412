"""Large images decoded once: made smaller, kept in a file, and mapped from there by every run.

A file is built beside its place, under ``.partial``, and moved there when it is complete and was
checked. While it grows, a journal keeps a record of every image that is in it, with a checksum of
the pixels. A build that was interrupted, however hard, goes on behind the last image that both
agree on; it ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console
from rich.filesize import decimal

from benchmark.data.kept.cache import explained
from benchmark.data.kept.pixel_file import (
    RECORD,
    MappedImages,
    NotPixelsError,
    checksum,
    record_of,
    trailing,
)
from benchmark.data.loaders.workers import default_workers
from benchmark.data.progress import bar
from benchmark.data.shrink import short_side, shrink
from benchmark.data.splits import ImageList
from benchmark.errors import BenchmarkError, DataError

_JOURNAL = struct.Struct("<8sIQ")
_JOURNAL_MAGIC = b"kdjourn1"
_BLOCK_BYTES = 16 << 20
"""At most so many pixels are decoded again after an interruption."""

_SAMPLE = 32
"""Images whose size is taken for that of all when the room on the disk is compared."""


def mapped(
    images: ImageList, *, image_size: int, path: Path, title: str, console: Console | None
) -> MappedImages:
    """The images with a short side of 8/7 image sizes at most, from the file or made once.

    Smaller images stay as they are. Proportions are kept and nothing is cropped, so a panorama
    takes as much more room as it is longer. What a run sees changes in one way: a random crop of a
    small share of an image is enlarged from fewer pixels. At 224 pixels, from photos of 341 x 256
    kept pixels, those are the crops below 57 % of the area; the originals of 667 x 500 pixels
    would have to be enlarged below 15 %. Fitting for testing sees the same pixels bit for bit.

    Args:
        images: read by several threads at once while the file is built.
        image_size: height and width in pixels that the networks see.
        path: of the file; names everything that the images depend on, the image size included.
        title: of the images, for the progress and for messages.
        console: shows the progress; None shows nothing.

    Raises:
        DataError: an image cannot be decoded, or the file cannot be written.
    """
    short = short_side(image_size)
    found = _find(path, images, short, console=None)
    if found is not None:
        return found
    with _alone(path, title, console):
        found = _find(path, images, short, console)
        if found is None:
            with bar(console, f"decoding {title}", len(images)) as advance:
                _build(images, short, path, title, advance)
            found = _find(path, images, short, console)
    if found is None:
        raise DataError(f"{path} cannot be read back after writing: the disk may be damaged.")
    return found


def _find(
    path: Path, images: ImageList, short: int, console: Console | None
) -> MappedImages | None:
    """The file if it is whole and holds such images; otherwise the console is told why not."""
    try:
        found = MappedImages(path, original=images)
        if (len(found), found.short_side) == (len(images), short):
            return found
        reason = (
            f"it holds {len(found):,} images with a short side of {found.short_side} pixels, "
            f"not {len(images):,} with {short}"
        )
    except FileNotFoundError:
        return None
    except (OSError, NotPixelsError) as error:
        reason = str(error)
    if console is not None:
        console.print(f"{path} is made anew: {reason}", markup=False, highlight=False)
    return None


def _build(
    images: ImageList, short: int, path: Path, title: str, advance: Callable[[int], None]
) -> None:
    """Decode what the unfinished file does not hold yet, and finish it."""

    def read(position: int) -> NDArray[np.uint8]:
        return _read(images, position, short, title)

    # Pillow and OpenCV work without the interpreter's lock, so threads are as good as processes.
    with (
        _Growing(path, short, len(images)) as growing,
        ThreadPoolExecutor(default_workers(), "decode") as pool,
    ):
        done = growing.resume(advance)
        sample = list(pool.map(read, _spread(done, len(images))))
        _check_room(path.parent, sample, len(images) - done, title)
        for image in _in_order(pool, read, range(done, len(images))):
            growing.append(image)
            advance(1)
        growing.finish()


def _read(images: ImageList, position: int, short: int, title: str) -> NDArray[np.uint8]:
    """One image, made smaller."""
    try:
        image = images[position]
    except BenchmarkError:
        raise
    except Exception as error:  # lists of images fail in many ways
        raise DataError(f"{title}, image {position}: cannot be read: {error}") from error
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(
            f"{title}, image {position}: it has the shape {image.shape} of {image.dtype}, not "
            "(height, width, 3) of uint8."
        )
    return np.ascontiguousarray(shrink(image, short))


def _in_order(
    pool: Executor, read: Callable[[int], NDArray[np.uint8]], positions: range
) -> Iterator[NDArray[np.uint8]]:
    """The images at these positions, read ahead by the threads of the pool."""
    ahead = 8 * default_workers()  # they wait made smaller, so many take little room
    waiting: deque[Future[NDArray[np.uint8]]] = deque()
    try:
        for position in positions:
            waiting.append(pool.submit(read, position))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _spread(start: int, stop: int) -> list[int]:
    """A few positions from start to stop, evenly apart."""
    count = min(_SAMPLE, stop - start)
    return [start + i * (stop - start) // count for i in range(count)]


def _check_room(folder: Path, sample: list[NDArray[np.uint8]], images: int, title: str) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: where the file grows.
        sample: of the images that it does not hold yet.
        images: how many those are.
        title: of the images, for the message.
    """
    if not sample:
        return
    needed = images * sum(image.nbytes for image in sample) / len(sample)
    with explained(folder / "pixels"):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"decoding {title} needs about {decimal(round(needed))} in {folder}, which has "
            f"{decimal(free)} free.\n"
            "Make room there, or choose another cache folder with KDBENCH_CACHE."
        )


class _Growing:
    """An unfinished file of pixels and its journal.

    Args:
        path: of the file that it will be.
        short: side that larger images were brought to, in pixels.
        images: that the finished file will hold.
    """

    def __init__(self, path: Path, short: int, images: int) -> None:
        self._path, self._short, self._images = path, short, images
        self._partial = path.with_name(f"{path.name}.partial")
        self._journal = path.with_name(f"{path.name}.journal")
        self._head = _JOURNAL.pack(_JOURNAL_MAGIC, short, images)
        self._records = bytearray()
        self._written = 0  # bytes of records that the journal holds
        self._pending = 0  # bytes of pixels that it does not know of

    def __enter__(self) -> Self:
        with explained(self._path):
            for path in (self._partial, self._journal):
                path.touch()
            self._pixels = self._partial.open("r+b")
            self._log = self._journal.open("r+b")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whatever ended the build, what is decoded need not be decoded again.
        with contextlib.suppress(OSError):
            self._commit()
        for file in (self._pixels, self._log):
            with contextlib.suppress(OSError):
                file.close()

    def __len__(self) -> int:
        """Images that it holds."""
        return len(self._records) // RECORD.itemsize

    def resume(self, advance: Callable[[int], None]) -> int:
        """Keep the images that pixels and journal agree on, and cut off what follows.

        Args:
            advance: is told how many more images are there.

        Returns:
            How many images there are.
        """
        with explained(self._path):
            length = os.path.getsize(self._partial)
            kept, agreed = 0, bytearray()
            for record in self._logged()[: self._images]:
                shape = int(record["height"]), int(record["width"]), 3
                count = math.prod(shape)
                if count == 0 or kept + count > length:
                    break
                image = np.frombuffer(self._pixels.read(count), dtype=np.uint8).reshape(shape)
                if checksum(image) != record["checksum"]:
                    break
                agreed += record.tobytes()
                kept += count
                advance(1)
            self._records, self._written = agreed, len(agreed)
            self._pixels.seek(kept)
            self._pixels.truncate()
            self._log.seek(0)
            self._log.write(self._head)
            self._log.truncate(len(self._head) + self._written)
            self._log.seek(0, os.SEEK_END)
            self._log.flush()
        return len(self)

    def _logged(self) -> NDArray[np.void]:
        """The journal's records, none if it belongs to another build."""
        logged = self._log.read()
        if not logged.startswith(self._head):
            return np.empty(0, dtype=RECORD)
        whole = (len(logged) - len(self._head)) // RECORD.itemsize
        return np.frombuffer(logged, dtype=RECORD, count=whole, offset=len(self._head))

    def append(self, image: NDArray[np.uint8]) -> None:
        """Add an image (H, W, 3)."""
        with explained(self._path):
            self._pixels.write(image.data)
            self._records += record_of(image)
            self._pending += image.nbytes
            if self._pending >= _BLOCK_BYTES:
                self._commit()

    def _commit(self) -> None:
        """Hand pixels, then their records to the system.

        Nothing waits for the disk: after a crash of the whole machine either may be missing, and
        the checksums tell.
        """
        self._pixels.flush()
        self._log.write(self._records[self._written :])
        self._log.flush()
        self._written, self._pending = len(self._records), 0

    def finish(self) -> None:
        """Close the file with its index, check it, and move it to its place."""
        with explained(self._path):
            self._commit()
            self._pixels.write(trailing(bytes(self._records), self._short))
            self._pixels.flush()
            # From here on pixels are trusted without being read, so they must be on the disk
            # before the name is.
            os.fsync(self._pixels.fileno())
            self._check()
            os.replace(self._partial, self._path)
            self._journal.unlink()

    def _check(self) -> None:
        """Open the file as its readers will."""
        try:
            complete = len(MappedImages(self._partial)) == self._images
        except NotPixelsError as error:
            raise OSError(f"what was written cannot be read back: {error}") from None
        if not complete:
            raise OSError("what was written is not complete")


@contextlib.contextmanager
def _alone(path: Path, title: str, console: Console | None) -> Iterator[None]:
    """Let one process build a file while the others wait for it."""
    lock = FileLock(f"{path}.lock")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if console is not None:
                console.print(f"waiting for another process that decodes {title}", markup=False)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
