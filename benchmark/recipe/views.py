"""What recipes make of a batch before student and teacher look at it.

Members of a group that ask for the same get the same tensors, so that a teacher runs once on them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import torch

from benchmark.data.loaders.batches import stable_seed
from benchmark.recipe.batch import Batch, Shelf
from benchmark.recipe.mixing import mix_views


def shared(batch: Batch, key: Hashable, make: Callable[[], Batch]) -> Batch:
    """A view that is made once for all members of a group that ask for it by this key.

    It must depend on the batch and on ``batch.draw`` alone, and the key must tell it from others of
    the same file. A view of a view is another one than that of the batch itself.
    """
    # Two recipes may have chosen one key for different views.
    whose = getattr(make, "__module__", ""), getattr(make, "__qualname__", ""), key
    made = batch.shared.get(
        whose,
        (batch.images, batch.labels, *batch.views),
        # It does not hold the shelf that it stands on, or its images would wait for the garbage
        # collector.
        lambda: replace(make(), shared=Shelf()),
    )
    return replace(made, progress=batch.progress, shared=batch.shared)


def stacked(batch: Batch) -> Batch:
    """All augmented views of the images as one batch of V · B images, view after view."""
    views = (batch.images, *batch.views)

    def make() -> Batch:
        labels = batch.labels.repeat(len(views), *[1] * (batch.labels.ndim - 1))
        index = batch.index.repeat(len(views))
        return replace(batch, images=torch.cat(views), labels=labels, index=index, views=())

    return shared(batch, "stacked", make)


def mixed(batch: Batch, *, mixup: float = 0.0, cutmix: float = 0.0) -> Batch:
    """Each image mixed with another one of the batch, and the labels alike.

    Args:
        batch: its labels may be distributions already.
        mixup: α of the Beta distribution of the share of mixup (arXiv:1710.09412); 0 for none.
        cutmix: likewise of CutMix (arXiv:1905.04899); with both, a coin decides for the batch.

    Returns:
        The batch with mixed images and ``labels`` (B, K); all its views are mixed alike.
    """

    def make() -> Batch:
        (images, *views), labels = mix_views(
            (batch.images, *batch.views),
            batch.labels,
            batch.class_count,
            mixup=mixup,
            cutmix=cutmix,
            seed=stable_seed(batch.draw, "mixed"),
        )
        return replace(batch, images=images, labels=labels, views=tuple(views))

    return shared(batch, ("mixed", mixup, cutmix), make)


def rotated(batch: Batch) -> Batch:
    """The images turned by 0, 90, 180 and 270 degrees, as one batch of 4 · B images.

    Labels are repeated; ``labels`` of turn t stand at ``[t * B : (t + 1) * B]``.
    """

    def make() -> Batch:
        turns = [torch.rot90(batch.images, turn, (2, 3)) for turn in range(4)]
        images = torch.cat(turns).contiguous(memory_format=torch.channels_last)
        labels = batch.labels.repeat(4, *[1] * (batch.labels.ndim - 1))
        return replace(batch, images=images, labels=labels, index=batch.index.repeat(4), views=())

    return shared(batch, "rotated", make)
