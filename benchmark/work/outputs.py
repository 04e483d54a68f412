"""How much the teachers of a plan say, asked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.cards.card import Protocol
from benchmark.data.kept.listing import list_kept
from benchmark.events import Listener
from benchmark.matrix.run import AnyRun, Run
from benchmark.recipe.contract import Recipe
from benchmark.training.answers.files import KIND
from benchmark.training.answers.keep import Keep, Size, check_room, in_words
from benchmark.work.fitting import Fitting, lead


def check_outputs(runs: Iterable[AnyRun], keep: Keep, listener: Listener) -> None:
    """Say how much room it takes to keep what the teachers of runs say.

    Args:
        runs: that are to be trained.
        keep: where and how it is kept.
        listener: hears it.

    Raises:
        UsageError: the disk does not hold it.
    """
    fitting, largest = Fitting(), dict[tuple[object, ...], Size]()
    datasets = set[str]()
    for run in runs:
        if not isinstance(run, Run) or run.recipe.cls.view is not Recipe.view:
            continue
        datasets.add(run.card.name)
        for teacher in run.heard:
            key = (teacher.identity, run.pictures, *_of_batches(run.protocol), run.seed)
            size = _size(run, teacher, keep, fitting)
            largest[key] = max(largest.get(key, size), size, key=lambda one: one.epochs)
    if not largest:
        return
    needed = sum(size.of_all for size in largest.values())
    there = sum(
        kept.size_bytes
        for kept in list_kept(keep.folder)
        if kept.kind == KIND and kept.dataset in datasets
    )
    listener.note(
        f"keeping what {len(largest)} teachers say takes up to {in_words(needed)} in {keep.folder}"
        f"; {in_words(there)} of such files are there"
    )
    check_room(keep.folder, needed - there)


def _size(run: Run, teacher: AnyRun, keep: Keep, fitting: Fitting) -> Size:
    shape = fitting.shape(teacher.network, run.pictures)
    images = round(run.card.splits["train"] * (1 - run.protocol.validation))
    epochs = lead(run) + run.protocol.epochs
    return Size(epochs, images, shape.classes + shape.embedding_dim, keep.dtype)


def _of_batches(protocol: Protocol) -> tuple[object, ...]:
    """What of a protocol decides which images come when."""
    return protocol.batch_size, protocol.mixup, protocol.cutmix, protocol.validation
