"""Making large images as small as training and testing at one size allow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MARGIN = 8 / 7
"""Short side before the centre crop, in image sizes: 256 for 224, as the field evaluates."""


def short_side(image_size: int) -> int:
    """Pixels of an image's short side before it is cropped to the image size."""
    return round(image_size * _MARGIN)


def shrink(image: NDArray[np.uint8], short: int) -> NDArray[np.uint8]:
    """Bring the short side of an image to so many pixels and keep its proportions.

    Sizes and pixels are those that albumentations' ``SmallestMaxSize`` gives, so that fitting a
    shrunk image for testing gives bit for bit what fitting the original gives.

    Args:
        image: (H, W, 3). One that is small enough already comes back as it is.
        short: of height and width of the result, the smaller one.
    """
    height, width = image.shape[:2]
    scale = short / min(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Interpolation by area takes every pixel into account, however much smaller the result is.
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
