"""One look at every image: what a card, a check and the search for twins need to know of it.

Images are read and decoded once, by as many threads as there are cores: decoders release Python's
lock. What is kept of each is small, so that a million of them fit into the memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.data.decoding import Decoded, decode
from benchmark.data.splits import ImageFiles, ImageList
from benchmark.errors import DataError
from benchmark.processes import cores

THUMBNAIL = 16  # height and width in pixels of what is compared of two images


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of an image.

    Attributes:
        place: where it is, for a person.
        size: height and width in pixels, upright.
        mode: how colours are stored, in Pillow's words; ``RGB`` where only pixels are at hand.
        turned: whether its EXIF note asked for turning or mirroring.
        digest: SHA-256 of its file, or of the pixels where only these are at hand.
        fingerprint: 64 bits that are nearly the same for pictures that look the same.
        thumbnail: (THUMBNAIL²,) uint8, grey.
        mean, squares: (3,) of the pixels in [0, 1] and of their squares, by channel.
    """

    place: str
    size: tuple[int, int]
    mode: str
    turned: bool
    digest: bytes
    fingerprint: int
    thumbnail: NDArray[np.uint8]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]


@dataclass(frozen=True)
class Broken:
    """An image that cannot be read.

    Attributes:
        fault: names the image, says what is wrong with it and what to do.
    """

    fault: str


def look_at(
    images: Tensor | ImageList, *, advance: Callable[[int], None] = lambda _: None
) -> list[Look | Broken]:
    """Look at every image.

    Args:
        images: (N, H, W, 3) uint8, or a list; those that have no file are named by their number.
        advance: is told how many more were looked at.

    Returns:
        What was seen, by position.
    """

    def look(position: int) -> Look | Broken:
        try:
            if isinstance(images, ImageFiles):
                file = images.file(position)
                return _look(decode(file), file.place, hashlib.sha256(file.content).digest())
            pixels = np.ascontiguousarray(images[position])
            digest = hashlib.sha256(pixels.tobytes()).digest()
            return _look(Decoded(pixels, "RGB", False), f"image {position}", digest)
        except DataError as error:
            return Broken(str(error))

    found = []
    with ThreadPoolExecutor(cores(), "looking") as pool:
        for seen in pool.map(look, range(len(images))):
            found.append(seen)
            advance(1)
    return found


def seen(looks: Sequence[Look | Broken]) -> list[Look]:
    """Those that could be read."""
    return [look for look in looks if isinstance(look, Look)]


def _look(image: Decoded, place: str, digest: bytes) -> Look:
    picture = Image.fromarray(image.pixels)
    small = picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).convert("L")
    # OpenCV's sums are exact, and need no copy of a large photograph in floating point.
    mean, deviation = (values.ravel() / 255 for values in cv2.meanStdDev(image.pixels))
    height, width = image.pixels.shape[:2]
    return Look(
        place=place,
        size=(height, width),
        mode=image.mode,
        turned=image.turned,
        digest=digest,
        fingerprint=int.from_bytes(np.packbits(imagehash.phash(picture).hash).tobytes()),
        thumbnail=np.asarray(small).ravel(),
        mean=mean,
        squares=deviation**2 + mean**2,
    )
