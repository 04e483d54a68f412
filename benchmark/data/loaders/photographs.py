"""The loader for photographs on the device: cropped, resized and coloured there, many at once.

What happens to an image is drawn as in the worker processes (``draws.py``), and is done as OpenCV
does it (``resampling.py``, ``jittering.py``), so that a run sees the same images from either loader
but for roundings.

Its cost on a GPU, by arithmetic alone, for want of one: with CUB's augmentation at 224 pixels and
64 images at once, 190 operations, two thirds of them small, read and write 29 MB for an image and
multiply 0.24 GFLOP. An H100 (3.35 TB/s, 67 TFLOPS in float32) takes 9 + 4 µs and, at 2 µs for each
small operation, another 4: 4 % of the 400 µs that an image has at 2,500 images/s of
resnet50:resnet18, whose networks move 260 MB for an image in bfloat16, counted alike.

A CPU is slower at it than OpenCV. CUB-50 at 112 pixels in batches of 32, in the steps of ``kd``
with timm/resnet10t:timm/mobilenetv3_small_100, one core of a busy shared server, in turns: 10 to
12 % of a step in seven rounds, and 4.6 to 6 % for ``WorkersLoader`` without workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from benchmark.cards.transforms import ColorJitter
from benchmark.data.loaders.batches import (
    Chunk,
    LoadedBatch,
    Normalise,
    chunks_of_epoch,
    epoch_order,
)
from benchmark.data.loaders.developing import develop
from benchmark.data.loaders.draws import Draws, has_twins
from benchmark.data.loaders.table import sent, table_of
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit

_AT_ONCE = 64
"""Images made at once on an accelerator: numbers of 100 MB are on their way at 224 pixels."""
_AT_ONCE_ON_CPU = 8
"""As many as the caches hold."""


class PhotographLoader:
    """Batches of a split of images of any sizes, which are kept on the device.

    Args:
        split: images of one size or of many.
        pictures: give size, normalisation and augmentation.
        batch_size: images of a global batch.
        seed: of order and augmentation.
        device: where the images are kept and the batches made.
        train: shuffled and augmented; otherwise in the order of the split, resized and cropped at
            the centre where images have another size than the pictures'.
        shard: number of this process and how many there are.
        views: how often every image is augmented.

    Raises:
        ValueError: a transform of the pictures has no twin here.
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
        if train and not has_twins(pictures):
            raise ValueError("the images cannot be augmented on the device; see make_loader")
        self._device, self._size = torch.device(device), pictures.size
        self._table = table_of(split.images, self._device)
        self._at_once = _AT_ONCE_ON_CPU if self._device.type == "cpu" else _AT_ONCE
        self._colours = train and any(isinstance(t, ColorJitter) for t in pictures.augmentation)
        self._draws = Draws(split, pictures, seed=seed, train=train)
        self._labels, self._seed, self._train, self._views = split.labels, seed, train, views
        self._normalise = Normalise(
            pictures.mean, pictures.std, size=pictures.size, device=self._device
        )
        self._chunks = chunks_of_epoch(len(split), batch_size=batch_size, shard=shard)

    @property
    def photographs(self) -> Literal["device"]:
        """By whom they are cropped and coloured."""
        return "device"

    @property
    def images_per_epoch(self) -> int:
        """Images that all processes together see in an epoch."""
        return len(self._labels)

    def __len__(self) -> int:
        """Batches of an epoch, the last partial one included."""
        return len(self._chunks)

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[LoadedBatch]:
        """The batches of an epoch from one on; the device is never waited for."""
        order = torch.arange(len(self._labels))
        if self._train:
            order = epoch_order(len(self._labels), seed=self._seed, epoch=epoch)
        for chunk in self._chunks[first:]:
            yield self._loaded(epoch, chunk, order[chunk.start : chunk.stop])

    def _loaded(self, epoch: int, chunk: Chunk, index: Tensor) -> LoadedBatch:
        positions = index.tolist()
        images, *views = (self._view(epoch, positions, view) for view in range(self._views))
        return LoadedBatch(
            images=images,
            labels=sent(self._labels[index], self._device),
            index=sent(index, self._device),
            global_size=chunk.global_size,
            weight=chunk.weight,
            views=tuple(views),
        )

    def _view(self, epoch: int, positions: Sequence[int], view: int) -> Tensor:
        """Images (B, 3, S, S) float32 in ``channels_last``, normalised."""
        table, size = self._table, self._size
        shape = len(positions), size, size, 3
        pixels = torch.empty(shape, dtype=torch.uint8, device=self._device)
        for begin in range(0, len(positions), self._at_once):
            some = positions[begin : begin + self._at_once]
            draws = [
                self._draws.of(
                    table.heights[at], table.widths[at], epoch=epoch, position=at, view=view
                )
                for at in some
            ]
            made = develop(table, some, draws, size=size, colours=self._colours)
            # Of a transposed copy, a CPU makes seven times as much work.
            torch.stack(made.unbind(2), dim=3, out=pixels[begin : begin + self._at_once])
        return self._normalise(pixels)
