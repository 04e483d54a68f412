"""The choice between the two loaders."""

from __future__ import annotations

import torch

from benchmark.data.loaders.augmentation import ResidentAugmentation
from benchmark.data.loaders.batches import LoadedBatch, Loader
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.loaders.workers import WorkersLoader, has_size
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit

__all__ = ["LoadedBatch", "Loader", "make_loader"]


def make_loader(
    split: ImageSplit,
    pictures: Pictures,
    *,
    batch_size: int,
    seed: int,
    device: torch.device | str,
    train: bool,
    shard: tuple[int, int] = (0, 1),
    workers: int | None = None,
    views: int = 1,
) -> Loader:
    """The loader for a split: resident if it can be, worker processes otherwise.

    A split is kept on the device if all its images have the pictures' size and, for training,
    every transform of theirs has a twin there.

    Args:
        split: of a data set.
        pictures: give size, normalisation and augmentation.
        batch_size: images of a global batch.
        seed: of order and augmentation.
        device: where the batches are wanted.
        train: shuffled and augmented; otherwise in the order of the split and as they are.
        shard: number of this process and how many there are.
        workers: worker processes if they are needed; None takes as many as there are processors.
        views: how often every image is augmented; the first one is the same for any number.
    """
    if has_size(split, pictures.size) and not (train and ResidentAugmentation.of(pictures) is None):
        return ResidentLoader(
            split,
            pictures,
            batch_size=batch_size,
            seed=seed,
            device=device,
            train=train,
            shard=shard,
            views=views,
        )
    return WorkersLoader(
        split,
        pictures,
        batch_size=batch_size,
        seed=seed,
        device=device,
        train=train,
        shard=shard,
        workers=workers,
        views=views,
    )
