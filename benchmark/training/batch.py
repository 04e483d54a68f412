"""The batch that all members of a group look at, before each takes its own view of it."""

from __future__ import annotations

from benchmark.data.loaders.batches import LoadedBatch, stable_seed
from benchmark.recipe.contract import Batch


def batch_of(
    loaded: LoadedBatch, *, classes: int, seed: int, count: int = 0, process: int = 0
) -> Batch:
    """A loaded batch as recipes see it.

    Args:
        loaded: this process's part of the global batch.
        classes: number of classes.
        seed: of the run.
        count: number of the step in the whole training.
        process: number of this process.
    """
    return Batch(
        loaded.images,
        loaded.labels,
        loaded.index,
        progress=0.0,
        views=loaded.views,
        class_count=classes,
        draw=stable_seed(seed, "view", count, process),
    )
