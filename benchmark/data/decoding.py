"""From an image file to pixels: upright, three channels, eight bits."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmark.errors import DataError, first_line

# Others let files of strangers start programs (EPS), or are read by nobody.
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of an image file on the disk.

    Raises:
        DataError: the file is gone, may not be read, or cannot be decoded.
    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Put it back, or allow reading it."
        ) from None
    return decode_image(encoded, str(path))


def decode_image(encoded: bytes, place: str) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of an image file.

    The image is turned as its EXIF note says. Grey, palette and CMYK images become RGB, 16 bits
    are brought to eight, and what is transparent is laid on white. Of several frames the first is
    taken.

    Args:
        encoded: PNG, JPEG, WebP or whatever else Pillow reads.
        place: where it comes from, for the message.

    Raises:
        DataError: it cannot be decoded, or its pixels have no fixed range (32 bits).
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _eight_bits(image, place)
    except DataError:
        raise
    except Exception as error:  # Pillow's plugins fail in many ways
        raise DataError(
            f"{place}: the image cannot be decoded: {_reason(encoded, error)}. Fetch the file "
            "again."
        ) from None


def _reason(encoded: bytes, error: Exception) -> str:
    """Why an image cannot be decoded, for a person."""
    if not encoded:
        return "the file is empty"
    if not any(encoded):
        return f"all of its {len(encoded):,} bytes are 0"
    if isinstance(error, UnidentifiedImageError):  # whose own words are those of Python's memory
        if encoded.lstrip()[:1] == b"<":
            return "it is a page of text, as a server sends instead of a picture"
        return f"its first bytes are of no picture in {', '.join(_FORMATS)}"
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
