"""The pixels of images of many sizes in one table on the device."""

from __future__ import annotations

from weakref import WeakValueDictionary

import numpy as np
import psutil
import torch
from torch import Tensor

from benchmark.data.splits import ImageList

SHARE_OF_FREE = 1 / 4
"""Of the memory that is free on the device before networks are there: the rest is for them, what
lies between their layers, and the other split."""
_SAMPLE = 32  # images whose size is taken for that of all


class PixelTable:
    """All pixels of some images, image after image and row after row, channels apart.

    Args:
        images: uint8, (N, H, W, 3) or a list; every one is read.
        device: where the pixels are kept.

    Attributes:
        images: the same.
        pixels: (3, P) uint8.
        heights, widths, origins: by image; its first pixel's place in the table.
    """

    def __init__(self, images: Tensor | ImageList, device: torch.device) -> None:
        self.images = images
        shapes = [images[position].shape for position in range(len(images))]
        self.heights, self.widths = ([int(shape[side]) for shape in shapes] for side in (0, 1))
        ends = np.cumsum([shape[0] * shape[1] for shape in shapes], dtype=np.int64).tolist()
        self.origins: list[int] = [0, *ends[:-1]]
        self.pixels = torch.empty(3, ends[-1], dtype=torch.uint8, device=device)
        for position, (begin, end) in enumerate(zip(self.origins, ends, strict=True)):
            flat = _pixels(images, position).reshape(-1, 3)
            self.pixels[:, begin:end] = flat.to(device).t()

    def crop(self, position: int, top: int, left: int, sides: tuple[int, int]) -> Tensor:
        """A part (h, 3, w) uint8 of an image, in the table's own memory."""
        width, channel = self.widths[position], self.pixels.stride(0)
        first = self.origins[position] + top * width + left
        return self.pixels.as_strided((sides[0], 3, sides[1]), (width, channel, 1), first)


_tables: WeakValueDictionary[tuple[int, torch.device], PixelTable] = WeakValueDictionary()
"""Tables that a loader uses, by the images' id: all loaders of a training set share one."""


def table_of(images: Tensor | ImageList, device: torch.device) -> PixelTable:
    """The images' table on a device, which lives as long as a loader has it."""
    # A table holds its images, so that no others can come to have their id.
    table = _tables.get((id(images), device))
    if table is None:
        table = _tables[id(images), device] = PixelTable(images, device)
    return table


def fits(images: Tensor | ImageList, device: torch.device) -> bool:
    """Whether images take no more than ``SHARE_OF_FREE`` of a device, or are there already.

    What they take is estimated from a few of them.
    """
    if (id(images), device) in _tables:
        return True
    if not len(images):
        return False
    sample = range(0, len(images), -(-len(images) // _SAMPLE))
    mean = sum(_pixels(images, position).numel() for position in sample) / len(sample)
    return mean * len(images) <= SHARE_OF_FREE * _free_bytes(device)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; this process does not wait for it."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    return int(psutil.virtual_memory().available)


def _pixels(images: Tensor | ImageList, position: int) -> Tensor:
    """One image (H, W, 3)."""
    image = images[position]
    # A copy: torch warns of memory that may not be written, and an image may lie in a file.
    return image if isinstance(image, Tensor) else torch.from_numpy(np.array(image))
