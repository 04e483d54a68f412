"""From an image file to pixels: upright, three channels, eight bits."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from benchmark.errors import DataError, first_line

REMEDY = "Fetch the file again."
# Others let files of strangers start programs (EPS), or are read by nobody.
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = ExifTags.Base.Orientation
_TURNS = range(2, 9)  # 1 is upright; others turn or mirror


@dataclass(frozen=True)
class ImageFile:
    """An image as it is stored.

    Attributes:
        content: PNG, JPEG, WebP or whatever else Pillow reads.
        place: where it comes from, for a person.
    """

    content: bytes
    place: str


@dataclass(frozen=True)
class Decoded:
    """An image as networks see it, and what it was before.

    Attributes:
        pixels: (H, W, 3), upright.
        mode: how the file stores colours, in Pillow's words: ``RGB``, ``L`` (grey), ``CMYK``, …
        turned: whether its EXIF note asked for turning or mirroring.
    """

    pixels: NDArray[np.uint8]
    mode: str
    turned: bool


def read_file(path: Path) -> ImageFile:
    """An image file on the disk, not decoded.

    Raises:
        DataError: the file is gone or may not be read.
    """
    try:
        return ImageFile(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Put it back, or allow reading it."
        ) from None


def read_image(path: Path) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of an image file on the disk.

    Raises:
        DataError: the file is gone, may not be read, or cannot be decoded.
    """
    return decode(read_file(path)).pixels


def decode_image(encoded: bytes, place: str) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of an image file; see ``decode``."""
    return decode(ImageFile(encoded, place)).pixels


def decode(file: ImageFile) -> Decoded:
    """Decode an image file.

    The image is turned as its EXIF note says. Grey, palette and CMYK images become RGB, 16 bits
    are brought to eight, and what is transparent is laid on white. Of several frames the first is
    taken.

    Raises:
        DataError: it cannot be decoded, or its pixels have no fixed range (32 bits).
    """
    encoded, place = file.content, file.place
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            image.load()
            mode, turned = image.mode, image.getexif().get(_ORIENTATION, 1) in _TURNS
            ImageOps.exif_transpose(image, in_place=True)
            return Decoded(_eight_bits(image, place), mode, turned)
    except DataError:
        raise
    except Exception as error:  # Pillow's plugins fail in many ways
        reason = _reason(encoded, error)
        raise DataError(f"{place}: the image cannot be decoded: {reason}. {REMEDY}") from None


def _reason(encoded: bytes, error: Exception) -> str:
    """Why an image cannot be decoded, for a person."""
    if not encoded:
        return "the file is empty"
    if not any(encoded):
        return f"all of its {len(encoded):,} bytes are 0"
    if isinstance(error, UnidentifiedImageError):  # whose own words are those of Python's memory
        if encoded.lstrip()[:1] == b"<":
            return "it is a page of text, as a server sends instead of a picture"
        if encoded[4:8] == b"ftyp":  # telephones write it, and some call it .jpg
            return "it is HEIC, AVIF or a film, which are not read; save it as JPEG"
        return "it is no picture of a kind that is read"
    return first_line(error).rstrip(".")


def _eight_bits(image: Image.Image, place: str) -> NDArray[np.uint8]:
    """RGB pixels of an opened image."""
    if image.mode in _SIXTEEN_BITS:
        # Pillow itself would cut off everything above 255.
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise DataError(
            f"{place}: the image has 32 bits a pixel, whose range is not known. Save it with 8 or "
            "16 bits."
        )
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        return np.asarray(Image.alpha_composite(paper, seen).convert("RGB"))
    return np.asarray(image.convert("RGB"))
