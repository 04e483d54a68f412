"""The loader for everything else than lies on the device: worker processes and albumentations.

albumentations 2.0.8 seeds neither its forked workers, which all repeat the same choices, nor the
transforms of a ``Compose`` apart: ``set_random_seed`` gives each of them a stream of its own that
starts from the same seed, so that with a crop before a flip every mirrored image is cropped at the
same end. Here each sample sets one stream that all its transforms share, begun from (seed, epoch,
position); those of torchvision read torch's generator, which begins there too. The images therefore
do not depend on the number of workers.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from benchmark.cards.transforms import (
    ColorJitter,
    HorizontalFlip,
    RandAugment,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    Transform,
    TrivialAugment,
)
from benchmark.data.loaders.batches import (
    Chunk,
    LoadedBatch,
    Normalise,
    chunks_of_epoch,
    epoch_order,
    sample_seed,
    stable_seed,
)
from benchmark.data.loaders.watching import LOOK_EVERY_S, Board, Watched, start_worker
from benchmark.data.pictures import Pictures
from benchmark.data.shrink import short_side
from benchmark.data.splits import ImageSplit
from benchmark.errors import BenchmarkError, DisturbanceError, first_line
from benchmark.processes import cores

if TYPE_CHECKING:
    import albumentations

Key = tuple[int, int, int]
"""An epoch, a position and a view: all that a worker needs to make a sample."""

_MOST_WORKERS = 8


class WorkersLoader:
    """Batches of a split that is decoded and augmented by worker processes.

    The workers live as long as the loader.

    Args:
        split: images of one size or of many.
        pictures: give size, normalisation and augmentation.
        batch_size: images of a global batch.
        seed: of order and augmentation.
        device: where the batches are wanted.
        train: shuffled and augmented; otherwise in the order of the split, resized and cropped at
            the centre where images have another size than theirs.
        shard: number of this process and how many there are.
        workers: processes; 0 works in this one, None takes as many as there are processors, 8 at
            most.
        views: how often every image is augmented.
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
        workers: int | None = None,
        views: int = 1,
    ) -> None:
        self._labels, self._seed, self._train, self._views = split.labels, seed, train, views
        self._device = torch.device(device)
        self._normalise = Normalise(
            pictures.mean, pictures.std, size=pictures.size, device=self._device
        )
        self._chunks = chunks_of_epoch(len(split), batch_size=batch_size, shard=shard)
        self._plan = _Plan()
        if workers is None:
            workers = default_workers()
        board = Board(workers)
        batches: DataLoader[Any] = DataLoader(
            _Samples(split, make_compose(split, pictures, train=train), seed, board),
            batch_sampler=self._plan,
            num_workers=workers,
            # Whatever this process was started by: a worker must be its child, and soon there.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            collate_fn=_collate,
            worker_init_fn=functools.partial(_start, board, os.getpid()),
            timeout=LOOK_EVERY_S if workers else 0,
            persistent_workers=workers > 0,
            pin_memory=self._device.type == "cuda",
            # A generator of its own: otherwise every epoch would draw from the global one, and
            # dropout would depend on the loader.
            generator=torch.Generator().manual_seed(stable_seed(seed, "workers")),
        )
        self._batches: Iterable[Tensor | BenchmarkError] = (
            Watched(batches, board) if workers else batches
        )

    @property
    def photographs(self) -> None:
        """By whom they are cropped and coloured: not by the device."""
        return None

    @property
    def images_per_epoch(self) -> int:
        """Images that all processes together see in an epoch."""
        return len(self._labels)

    def __len__(self) -> int:
        """Batches of an epoch, the last partial one included."""
        return len(self._chunks)

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[LoadedBatch]:
        """The batches of an epoch from one on.

        Raises:
            DataError: an image cannot be decoded.
            DisturbanceError: a worker died, hangs, or failed otherwise.
        """
        order = torch.arange(len(self._labels))
        if self._train:
            order = epoch_order(len(self._labels), seed=self._seed, epoch=epoch)
        chunks = self._chunks[first:]
        own = [order[chunk.start : chunk.stop] for chunk in chunks]
        self._plan.batches = [
            [(epoch, position, view) for view in range(self._views) for position in part.tolist()]
            for part in own
        ]
        batches = iter(self._batches)
        try:
            for chunk, index, pixels in zip(chunks, own, batches, strict=True):
                if isinstance(pixels, BenchmarkError):
                    raise pixels
                yield self._loaded(chunk, index, pixels)
        except GeneratorExit:
            # What is underway is waited for: workers that were left with it would be stopped while
            # someone still writes to them, which ends in a traceback.
            self._plan.batches.clear()
            with contextlib.suppress(BenchmarkError):
                collections.deque(batches, maxlen=0)
            raise

    def _loaded(self, chunk: Chunk, index: Tensor, pixels: Tensor) -> LoadedBatch:
        images = self._normalise(pixels.to(self._device, non_blocking=True))
        first, *views = images.chunk(self._views) if self._views > 1 else (images,)
        return LoadedBatch(
            images=first,
            labels=self._labels[index].to(self._device, non_blocking=True),
            index=index.to(self._device, non_blocking=True),
            global_size=chunk.global_size,
            weight=chunk.weight,
            views=tuple(views),
        )


def make_compose(split: ImageSplit, pictures: Pictures, *, train: bool) -> albumentations.Compose:
    """The albumentations twin of the augmentation; for testing only the fitting to size."""
    # The library asks the network for its newest version at import, unless it is told not to; and
    # the import takes seconds.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    size = pictures.size
    transforms = pictures.augmentation if train else ()
    crops_itself = bool(transforms) and isinstance(transforms[0], RandomResizedCrop)
    steps: list[Any] = []
    if not crops_itself and not has_size(split, size):
        steps += fitting(size, short_side(size)).transforms
    for transform in transforms:
        steps += _twin(transform, size, pictures.mean)
    return A.Compose(steps)


def fitting(size: int, short: int) -> albumentations.Compose:
    """What brings an image to so many pixels on its short side and cuts its centre out."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    return A.Compose(
        [
            A.SmallestMaxSize(max_size=short, area_for_downscale="image"),
            A.CenterCrop(size, size),
        ]
    )


def has_size(split: ImageSplit, size: int) -> bool:
    """Whether all images are known to have this height and width."""
    return isinstance(split.images, Tensor) and split.images.shape[1:] == (size, size, 3)


def _twin(transform: Transform, size: int, mean: Sequence[float]) -> list[Any]:
    """One transform of a card or protocol as steps of albumentations.

    torchvision takes a second to import, and only those who ask for its transforms should wait.
    """
    import albumentations as A

    match transform:
        case RandomCrop(padding=padding):
            return [A.Pad(padding), A.RandomCrop(size, size)]
        case HorizontalFlip(p=p):
            return [A.HorizontalFlip(p=p)]
        case RandomResizedCrop(scale=scale, ratio=ratio):
            return [
                A.RandomResizedCrop(
                    (size, size), scale=scale, ratio=ratio, area_for_downscale="image"
                )
            ]
        case ColorJitter():
            # Albumentations jitters every other image unless it is told to do so always.
            return [A.ColorJitter(**transform.model_dump(exclude={"name"}), p=1.0)]
        case RandAugment() | TrivialAugment():
            from benchmark.data.loaders.torchvision_twins import Augment

            return [A.Lambda(image=Augment(transform), name=transform.name)]
        case RandomErasing():
            from benchmark.data.loaders.torchvision_twins import Erase

            return [A.Lambda(image=Erase(transform, mean), name=transform.name)]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's global CPU generator begins at a seed, and goes on afterwards as if nothing was."""
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)


class _Samples(Dataset[Tensor | BenchmarkError]):
    """Augmented images by epoch, position and view; what goes wrong is handed over as it is."""

    def __init__(
        self, split: ImageSplit, compose: albumentations.Compose, seed: int, board: Board
    ) -> None:
        self._split, self._compose, self._seed, self._board = split, compose, seed, board

    def __getitem__(self, key: Key) -> Tensor | BenchmarkError:
        """Pixels uint8 (S, S, 3)."""
        epoch, position, view = key
        self._board.at(position)
        seed = sample_seed(self._seed, epoch, position, view)
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        try:
            with _seeded(seed):
                image = self._compose(image=self._read(position))["image"]
        except BenchmarkError as error:
            # Raised here, it would arrive with the worker's traceback as its message.
            return error
        except Exception as error:  # augmentations fail in many ways
            return DisturbanceError(
                f"the image in position {position:,} cannot be prepared: {type(error).__name__}: "
                f"{first_line(error)}. Correct the augmentation in card or protocol.",
                lasting=True,
            )
        return torch.from_numpy(np.array(image))

    def _read(self, position: int) -> NDArray[np.uint8]:
        image = self._split.images[position]
        return image.numpy() if isinstance(image, Tensor) else image


class _Plan(Sampler[list[Key]]):
    """The batches of the epoch that is asked for next."""

    def __init__(self) -> None:
        self.batches: list[list[Key]] = []

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _collate(samples: list[Tensor | BenchmarkError]) -> Tensor | BenchmarkError:
    """Pixels (B, S, S, 3), or what went wrong."""
    pixels = []
    for sample in samples:
        if isinstance(sample, BenchmarkError):
            return sample
        pixels.append(sample)
    # It stacks them where the main process can read them; torch.stack would need another copy.
    stacked: Tensor = default_collate(pixels)
    return stacked


def default_workers() -> int:
    """As many as this process may use processors, which on a shared machine are not all; 8 at most.

    More would fill the memory with images that wait.
    """
    return min(_MOST_WORKERS, cores())


def _start(board: Board, parent: int, worker: int) -> None:
    """What a worker does first."""
    import cv2

    start_worker(board, parent, worker)
    cv2.setNumThreads(0)  # its threads would fight over the processors that the workers share
