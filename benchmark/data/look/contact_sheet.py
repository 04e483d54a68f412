"""A picture of a data set: one row a class, its name at the left, a few of its images beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP = 4
_PAPER = (250, 249, 246)
_INK = (40, 40, 44)


def contact_sheet(
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    labels: Sequence[int] | NDArray[np.int64],
    names: Sequence[str],
    *,
    columns: int = 8,
    cell: int = 64,
) -> Image.Image:
    """Lay out the first images of every class.

    Args:
        images: each (H, W, 3) or (H, W), uint8, of any size.
        labels: of the images; they index the names.
        names: of the classes, one row each. A class without images keeps its row, empty.
        columns: most images a row shows.
        cell: edge length in pixels that an image is fitted into, keeping its proportions.

    Raises:
        ValueError: there are not as many labels as images, or a label has no name.
    """
    rows: list[list[NDArray[np.uint8]]] = [[] for _ in names]
    for image, label in zip(images, labels, strict=True):
        if not 0 <= label < len(names):
            raise ValueError(f"label {label} has no name; there are {len(names)} names")
        if len(rows[label]) < columns:
            rows[label].append(image)

    font = ImageFont.load_default(size=max(11, cell // 4))
    margin = _GAP * 3
    left = margin * 2 + int(max((font.getlength(name) for name in names), default=0))
    pitch = cell + _GAP
    size = (left + columns * pitch - _GAP + margin, margin * 2 + len(names) * pitch - _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, (name, chosen) in enumerate(zip(names, rows, strict=True)):
        top = margin + row * pitch
        pen.text((left - margin, top + cell / 2), name, fill=_INK, font=font, anchor="rm")
        for position, image in enumerate(chosen):
            picture = _fitted(Image.fromarray(image).convert("RGB"), cell)
            x = left + position * pitch + (cell - picture.width) // 2
            sheet.paste(picture, (x, top + (cell - picture.height) // 2))
    return sheet


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    scale = cell / max(picture.size)
    # Enlarged pixels stay square, so that small images show what a network sees.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    width, height = (max(1, round(edge * scale)) for edge in picture.size)
    return picture.resize((width, height), how)
