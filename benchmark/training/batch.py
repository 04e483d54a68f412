"""The batch that all members of a group look at, before each takes its own view of it."""

from __future__ import annotations

from benchmark.cards.card import Protocol
from benchmark.data.loaders.batches import LoadedBatch, stable_seed
from benchmark.recipe.contract import Batch
from benchmark.recipe.mixing import distributions_of, mix_views


def batch_of(
    loaded: LoadedBatch,
    protocol: Protocol,
    *,
    classes: int,
    seed: int,
    count: int = 0,
    process: int = 0,
) -> Batch:
    """A loaded batch as recipes see it, smoothed and mixed as the protocol asks.

    Args:
        loaded: this process's part of the global batch.
        protocol: says what is done to all batches, for all methods alike.
        classes: number of classes.
        seed: of the run.
        count: number of the step in the whole training.
        process: number of this process.
    """
    views, labels = (loaded.images, *loaded.views), loaded.labels
    if protocol.label_smoothing:
        labels = distributions_of(labels, classes, protocol.label_smoothing)
    if protocol.mixup or protocol.cutmix:
        mixing = stable_seed(seed, "mix", count, process)
        mixup, cutmix = protocol.mixup, protocol.cutmix
        views, labels = mix_views(views, labels, classes, mixup=mixup, cutmix=cutmix, seed=mixing)
    return Batch(
        views[0],
        labels,
        loaded.index,
        progress=0.0,
        views=views[1:],
        class_count=classes,
        draw=stable_seed(seed, "view", count, process),
    )
