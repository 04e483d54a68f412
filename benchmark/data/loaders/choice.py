"""The choice between the loaders."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import torch

from benchmark.data.loaders.augmentation import ResidentAugmentation
from benchmark.data.loaders.batches import LoadedBatch, Loader
from benchmark.data.loaders.draws import has_twins
from benchmark.data.loaders.photographs import PhotographLoader
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.loaders.table import fits
from benchmark.data.loaders.workers import WorkersLoader, has_size
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit
from benchmark.errors import UsageError

__all__ = ["LoadedBatch", "Loader", "make_loader"]

PHOTOGRAPHS = "KDBENCH_PHOTOGRAPHS"
"""Says by whom photographs are cropped and coloured: ``device`` or ``workers``."""


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
    """The loader for a split: one that keeps it on the device if there is one.

    Small images are kept there if all of them have the pictures' size and, for training, every
    transform has a twin in ``augmentation.py``; of all others see ``_by_device``.

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

    Raises:
        UsageError: ``KDBENCH_PHOTOGRAPHS`` names nobody.
    """
    kind: Callable[..., Loader]
    if has_size(split, pictures.size) and not (train and ResidentAugmentation.of(pictures) is None):
        kind = ResidentLoader
    elif _by_device(split, pictures, torch.device(device), train=train):
        kind = PhotographLoader
    else:
        kind = partial(WorkersLoader, workers=workers)
    return kind(
        split,
        pictures,
        batch_size=batch_size,
        seed=seed,
        device=device,
        train=train,
        shard=shard,
        views=views,
    )


def _by_device(split: ImageSplit, pictures: Pictures, device: torch.device, *, train: bool) -> bool:
    """Whether photographs are cropped and coloured by the device, in whose memory they must fit.

    On a CPU OpenCV needs half the time (``photographs.py`` has the figures), and gives the pixels
    of earlier records bit for bit: there it is done only when told.
    """
    told = os.environ.get(PHOTOGRAPHS, "")
    if told not in ("", "device", "workers"):
        raise UsageError(
            f"{PHOTOGRAPHS} is '{told}'. Set it to 'device' or 'workers', or unset it."
        )
    if told == "workers" or (not told and device.type == "cpu"):
        return False
    return (not train or has_twins(pictures)) and fits(split.images, device)
