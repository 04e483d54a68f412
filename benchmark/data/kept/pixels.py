"""Large images decoded once: made smaller, kept in Arrow files, and read from there by every run.

A folder holds the images of a split in files of a few hundred, in order. In a file every image is
one record batch, so that the file's own footer is the index of its images, and reading one decodes
nothing and copies it once. A file is written beside its place and moved there whole: a build that
was interrupted, however hard, goes on behind the last whole file.

Claim: this costs hardly more time than a memory-mapped file, and less memory. Two cores of a shared
server (x86-64, Linux 6.18), image size 224, batches of 64 with the augmentation of CUB, no or two
workers; CPU time an image and the largest proportional set size, of loader and workers together,
over 2 to 4 rounds of 5 to 10 s in turns:

                                          8,667 JPEGs of 375 pixels        2,889 of 160
                                          none            two              none    two
    these files                      ms   0.45-0.52       0.68-0.75        0.38    0.62-0.66
                                     MB   450-530         490-570          470     550-710
    a file of our own, mapped        ms   0.43-0.47       0.64-0.76        0.36    0.57-0.58
                                     MB   610-870         690-1,080        600     830-900
    Arrow files of ``datasets``      ms   0.43-0.49       0.67-0.72        0.39    0.64-0.66
                                     MB   2,250-2,820     2,080-2,980      800     850-1,030
    decoded every time               ms   1.43-1.60       1.86             0.63    0.86
                                     MB   440-650         560              640     560

Of a mapped file the kernel makes all resident that was read, in every process, and more where the
page cache has large pieces; ``datasets`` maps its files always, and begins anew after a kill.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from benchmark.data.kept.decoded import explained
from benchmark.data.kept.pixel_files import UNREADABLE, KeptImages, PixelFiles, image_checksum
from benchmark.data.loaders.workers import default_workers
from benchmark.data.shrink import short_side, shrink
from benchmark.data.splits import ImageList
from benchmark.errors import BenchmarkError, DataError, first_line
from benchmark.events import Listener
from benchmark.files import whole

Image = NDArray[np.uint8]

_SAMPLE = 32  # images whose size is taken for that of all when the room on the disk is compared


def keep_pixels(
    images: ImageList, *, image_size: int, folder: Path, title: str, listener: Listener
) -> KeptImages:
    """The images with a short side of 8/7 image sizes at most, from their folder or made once.

    Smaller images stay as they are. Proportions are kept and nothing is cropped, so a panorama
    takes as much more room as it is longer. What a run sees changes in one way: a random crop of a
    small share of an image is enlarged from fewer pixels. At 224 pixels, from photos of 341 x 256
    kept pixels, those are the crops below 57 % of the area; the originals of 667 x 500 pixels
    would have to be enlarged below 15 %. Fitting for testing sees the same pixels bit for bit.

    Args:
        images: read by several threads at once while the files are made.
        image_size: height and width in pixels that the networks see.
        folder: its name stands for everything that the images depend on, the image size included.
        title: of the images, for the progress and for messages.
        listener: hears of the progress.

    Raises:
        DataError: an image cannot be decoded, or a file cannot be written.
    """
    files = PixelFiles(folder, len(images), short_side(image_size))
    # Every image is compared with its checksum when it is read, so a look at the ends is enough.
    with contextlib.suppress(*UNREADABLE):
        return KeptImages(files, original=images)
    with explained(folder), _alone(folder, title, listener):
        for left in folder.glob(".*.partial"):
            left.unlink(missing_ok=True)  # of a process that was killed; the lock is ours
        missing = _missing(files, listener)
        with listener.progress(f"decoding {title}", len(images)) as advance:
            _build(images, files, missing, title, advance)
    try:
        return KeptImages(files, original=images)
    except UNREADABLE as error:
        raise DataError(
            f"{folder} cannot be read back after writing: {first_line(error)}. The disk may be "
            "damaged."
        ) from None


def _missing(files: PixelFiles, listener: Listener) -> list[int]:
    """The numbers of the files that are to be made; the listener hears why one is made anew."""
    missing = []
    for number, path in enumerate(files.paths):
        try:
            files.open(number)
        except FileNotFoundError:
            missing.append(number)
        except UNREADABLE as error:
            listener.note(f"{path} is made anew: {first_line(error)}")
            missing.append(number)
    return missing


def _build(
    images: ImageList,
    files: PixelFiles,
    missing: Sequence[int],
    title: str,
    advance: Callable[[int], None],
) -> None:
    """Decode what the folder does not hold yet, file by file."""

    def read(position: int) -> Image:
        return _read(images, position, files.short_side, title)

    wanted = [position for number in missing for position in files.positions(number)]
    advance(files.images - len(wanted))
    # Pillow and OpenCV work without the interpreter's lock, so threads are as good as processes.
    with ThreadPoolExecutor(default_workers(), "decode") as pool:
        sample = list(pool.map(read, wanted[:: max(1, -(-len(wanted) // _SAMPLE))]))
        _check_room(files.folder, sample, len(wanted), title)
        decoded = _in_order(pool, read, wanted)
        with contextlib.closing(decoded):
            for number in missing:
                count = len(files.positions(number))
                _write(files, number, itertools.islice(decoded, count), advance)


def _write(
    files: PixelFiles, number: int, images: Iterable[Image], advance: Callable[[int], None]
) -> None:
    """Write a file whole or not at all, and be sure that it is on the disk."""
    with (
        whole(files.paths[number], durable=True) as partial,
        pa.OSFile(str(partial), "wb") as file,
        pa.ipc.new_file(file, files.schema) as writer,
    ):
        for position, image in zip(files.positions(number), images, strict=True):
            writer.write_batch(_batch(image, position, files.schema))
            advance(1)


def _batch(image: Image, position: int, schema: pa.Schema) -> pa.RecordBatch:
    """A record batch of one image; its pixels are not copied."""
    height, width = image.shape[:2]
    ends = pa.py_buffer(np.array([0, image.nbytes], dtype=np.int64))
    pixels = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(image)])
    sides = (pa.array([side], pa.int32()) for side in (height, width))
    sum_ = pa.array([image_checksum(image, position)], pa.uint32())
    return pa.record_batch([pixels, *sides, sum_], schema=schema)


def _read(images: ImageList, position: int, short: int, title: str) -> Image:
    """Read one image and make it smaller."""
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
    pool: Executor, read: Callable[[int], Image], positions: Iterable[int]
) -> Generator[Image, None, None]:
    """The images at these positions, read ahead by the threads of the pool."""
    ahead = 8 * default_workers()  # they wait made smaller, so many take little room
    waiting: deque[Future[Image]] = deque()
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


def _check_room(folder: Path, sample: Sequence[Image], images: int, title: str) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: where the files are written.
        sample: of the images that it does not hold yet.
        images: how many those are.
        title: of the images, for the message.
    """
    if not sample:
        return
    needed = images * sum(image.nbytes for image in sample) / len(sample)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"decoding {title} needs about {needed / 1e6:,.1f} MB in {folder}, which has "
            f"{free / 1e6:,.1f} MB free.\n"
            "Make room there, or choose another cache folder with KDBENCH_CACHE."
        )


@contextlib.contextmanager
def _alone(folder: Path, title: str, listener: Listener) -> Iterator[None]:
    """Let one process fill a folder while the others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        listener.note(f"waiting for another process that decodes {title}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
