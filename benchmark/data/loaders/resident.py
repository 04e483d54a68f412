"""The loader for small images: the whole split lies on the device and is augmented there.

A batch is one gather: the padded set is a table of pixels, and every pixel of a cropped, perhaps
mirrored image is a row of it. Measured on 50,000 images of 32 pixels in batches of 64 with one
thread of a shared server CPU: 100,000 to 160,000 images/s, 0.3 % of a step of the smallest pair.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.data.loaders.augmentation import ResidentAugmentation
from benchmark.data.loaders.batches import (
    Chunk,
    LoadedBatch,
    Normalise,
    chunks_of_epoch,
    epoch_order,
)
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit

_IMAGES_AT_ONCE = 2048
"""Made at once on an accelerator, where starting a kernel costs more than running it."""


class ResidentLoader:
    """Batches of a split whose images all have the pictures' size.

    Args:
        split: its images are a tensor (N, S, S, 3).
        pictures: give size, normalisation and augmentation.
        batch_size: images of a global batch.
        seed: of order and augmentation.
        device: where the images are kept and the batches made.
        shard: number of this process and how many there are.
        train: shuffled and augmented; otherwise in the order of the split and as they are.
        views: how often every image is augmented.

    Raises:
        ValueError: the images are no such tensor, or a transform of the pictures has no twin here.
    """

    def __init__(
        self,
        split: ImageSplit,
        pictures: Pictures,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        train: bool,
        shard: tuple[int, int] = (0, 1),
        views: int = 1,
    ) -> None:
        augmentation = ResidentAugmentation.of(pictures) if train else ResidentAugmentation()
        if augmentation is None or not isinstance(split.images, Tensor):
            raise ValueError("the images cannot be kept on the device; see make_loader")
        size, padding, device = pictures.size, augmentation.padding, torch.device(device)
        if split.images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"images {tuple(split.images.shape)} are not {size} pixels wide and high"
            )
        padded = F.pad(split.images, (0, 0, padding, padding, padding, padding))
        self._edge = size + 2 * padding
        self._table = padded.reshape(-1, 3).to(device)
        self._labels = split.labels.to(device)
        self._augmentation = augmentation
        self._normalise = Normalise(pictures.mean, pictures.std, size=size, device=device)
        self._across = torch.arange(size, device=device)
        self._seed, self._train, self._device, self._views = seed, train, device, views
        self._images = len(split)
        self._chunks = chunks_of_epoch(len(split), batch_size=batch_size, shard=shard)
        self._own = torch.cat([torch.arange(chunk.start, chunk.stop) for chunk in self._chunks])
        self._batches_at_once = 1
        if device.type != "cpu":
            self._batches_at_once = max(1, _IMAGES_AT_ONCE // batch_size)

    @property
    def photographs(self) -> None:
        """By whom they are cropped and coloured: not by the device."""
        return None

    @property
    def images_per_epoch(self) -> int:
        """Images that all processes together see in an epoch."""
        return self._images

    def __len__(self) -> int:
        """Batches of an epoch, the last partial one included."""
        return len(self._chunks)

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[LoadedBatch]:
        """The batches of an epoch from one on; the device is waited for at its beginning only."""
        index, corners, mirrored = self._plan(epoch)
        stop = sum(len(chunk) for chunk in self._chunks[:first])
        for number in range(first, len(self._chunks), self._batches_at_once):
            chunks = self._chunks[number : number + self._batches_at_once]
            start, stop = stop, stop + sum(len(chunk) for chunk in chunks)
            yield from self._make(
                chunks, index[start:stop], corners[:, start:stop], mirrored[:, start:stop]
            )

    def _plan(self, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """This process's images in the order of the epoch, on the device.

        Returns:
            Positions (M,), the row of the table where each image's crop begins (V, M), and whether
            it is mirrored (V, M), for each of V views.
        """
        order = torch.arange(self._images)
        if self._train:
            order = epoch_order(self._images, seed=self._seed, epoch=epoch)
        index = order[self._own]
        choices = [
            self._augmentation.draw(self._images, seed=self._seed, epoch=epoch, view=view)
            for view in range(self._views)
        ]
        corners = torch.stack(
            [(index * self._edge + c.top[index]) * self._edge + c.left[index] for c in choices]
        )
        mirrored = torch.stack([c.mirrored[index] for c in choices])
        return index.to(self._device), corners.to(self._device), mirrored.to(self._device)

    def _make(
        self, chunks: list[Chunk], index: Tensor, corners: Tensor, mirrored: Tensor
    ) -> Iterator[LoadedBatch]:
        """Make some batches at once and hand them out one by one."""
        size = len(self._across)
        columns = torch.where(mirrored.reshape(-1, 1), self._across.flip(0), self._across)
        rows = corners.reshape(-1, 1) + self._across * self._edge
        places = rows[:, :, None] + columns[:, None, :]
        pixels = self._table.index_select(0, places.view(-1)).view(-1, size, size, 3)
        views = self._normalise(pixels).chunk(self._views)
        parts = (self._labels[index], index, *views)
        sizes = [len(chunk) for chunk in chunks]
        for chunk, labels, own, images, *others in zip(
            chunks, *(torch.split(part, sizes) for part in parts), strict=True
        ):
            yield LoadedBatch(images, labels, own, chunk.global_size, chunk.weight, tuple(others))
