"""What both loaders share: the batch, the order of an epoch, the seeds, the shares of processes.

Every random choice about an image is a function of (seed, epoch, position) alone. Results therefore
depend neither on workers and processes, nor on which runs share a loader, nor on a resume.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

_OWN_MEMORY_BYTES = 1 << 20
"""Batches of large images; those of CIFAR are smaller."""


@dataclass(frozen=True)
class LoadedBatch:
    """One process's share of a global batch, on the device.

    Attributes:
        images: (B, 3, H, W) float32 in ``channels_last``, normalised.
        labels: (B,) int64.
        index: (B,) int64, positions in the split.
        global_size: images of the batch over all processes.
        weight: of this share's mean: own images * processes / ``global_size``. The average over
            the processes of weighted means is the mean over the global batch. 0 marks a process
            for which the last batch left no image; it holds one that counts nowhere.
        views: the same images augmented once more, if the loader was asked for several views.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    global_size: int
    weight: float
    views: tuple[Tensor, ...] = ()


class Loader(Protocol):
    """Gives a split batch by batch, epoch after epoch."""

    @property
    def photographs(self) -> Literal["device"] | None:
        """By whom they are cropped and coloured, if by the device; see ``Cost.photographs``."""
        ...

    @property
    def images_per_epoch(self) -> int:
        """Images that all processes together see in an epoch."""
        ...

    def __len__(self) -> int:
        """Batches of an epoch, the last partial one included."""
        ...

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[LoadedBatch]:
        """The batches of an epoch from one on; epochs can be asked for in any order.

        Batches that are passed over are not made.
        """
        ...


@dataclass(frozen=True)
class Chunk:
    """One process's share of a global batch, as a place in the epoch's order.

    Attributes:
        start, stop: in the order of the epoch.
    """

    start: int
    stop: int
    global_size: int
    weight: float

    def __len__(self) -> int:
        """The images of the share."""
        return self.stop - self.start


def chunks_of_epoch(images: int, *, batch_size: int, shard: tuple[int, int]) -> list[Chunk]:
    """Cut an epoch into global batches and take one process's chunk of each.

    The chunks of one batch are contiguous, differ by one image at most, and in the order of the
    processes they make up the batch.

    Args:
        images: of the epoch.
        batch_size: of the global batch.
        shard: number of this process and how many there are.
    """
    rank, world = shard
    if not 0 <= rank < world:
        raise ValueError(f"there is no process {rank} among {world}")
    chunks = []
    for start in range(0, images, batch_size):
        size = min(batch_size, images - start)
        share, larger = divmod(size, world)
        own = share + (rank < larger)
        first = start + rank * share + min(rank, larger)
        if own == 0:
            # A process without an image still has to take part in the step: it gets the batch's
            # first image with weight 0.
            chunks.append(Chunk(start, start + 1, size, 0.0))
        else:
            chunks.append(Chunk(first, first + own, size, own * world / size))
    return chunks


def stable_seed(*parts: int | str) -> int:
    """A seed in [0, 2^63) that mixes all parts; equal on every machine and Python."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def sample_seed(seed: int, epoch: int, position: int, view: int) -> int:
    """Where the random numbers begin that augment one image for one view of it."""
    again = (view,) if view else ()
    return stable_seed(seed, epoch, "augment", position, *again)


def epoch_generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A CPU generator whose stream belongs to one purpose in one epoch."""
    return torch.Generator().manual_seed(stable_seed(seed, epoch, purpose))


def epoch_order(images: int, *, seed: int, epoch: int) -> Tensor:
    """The positions (images,) of a training epoch in random order."""
    return torch.randperm(images, generator=epoch_generator(seed, epoch, "order"))


class Normalise:
    """Bring uint8 pixels to float32 with mean 0 and deviation 1 by channel.

    Mean and deviation are laid out for a whole image: on the CPU that is several times faster than
    broadcasting three numbers along the innermost dimension. Multiplying and adding stay two steps,
    because a fused one rounds differently at the ends of vectors, where an image's result would
    depend on its place in the batch.

    Args:
        mean, std: of pixels in [0, 1], by channel.
        size: height and width in pixels.
        device: of the pixels.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], *, size: int, device: torch.device
    ) -> None:
        self._size = size
        mean_, std_ = (
            torch.tensor(mean, dtype=torch.float64),
            torch.tensor(std, dtype=torch.float64),
        )
        pixels = size * size
        self._scale = (1 / (255 * std_)).float().repeat(pixels).to(device)
        self._shift = (-mean_ / std_).float().repeat(pixels).to(device)

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, 3), contiguous, to float32 (B, 3, H, W) in ``channels_last``."""
        bytes_ = pixels.view(len(pixels), -1)
        if pixels.device.type == "cpu" and 4 * pixels.numel() >= _OWN_MEMORY_BYTES:
            flat = _own_memory(pixels.numel()).view(bytes_.shape).copy_(bytes_).mul_(self._scale)
        elif pixels.device.type == "cpu":
            flat = bytes_.float().mul_(self._scale)
        else:
            flat = torch.mul(bytes_, self._scale)  # the same in one pass over the memory
        flat.add_(self._shift)
        return flat.view(-1, self._size, self._size, 3).permute(0, 3, 1, 2)


def _own_memory(numbers: int) -> Tensor:
    """float32 (numbers,) in a mapping of its own, which goes back to the system with the tensor.

    What is freed below 32 MB glibc keeps for later, but does not always find it again when aligned
    memory is asked for. Measured with 2.36 and two worker processes, whose messages take small
    pieces out of the gaps: after 95 batches of 32 images at 224 pixels, 1.8 GB instead of 0.4, and
    growing with every batch.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):
        return torch.empty(numbers)
    memory = mmap.mmap(-1, 4 * numbers, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # Fewer pages are faster to get: 0.2 ms an image at 224 pixels instead of 0.23.
        with contextlib.suppress(OSError):  # kernels may be built without
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.float32)
