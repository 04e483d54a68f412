"""What a group is fed with: the batches that it trains on, and those that it is examined on."""

from __future__ import annotations

from collections.abc import Sequence

from accelerate import Accelerator

from benchmark.cards.card import Protocol
from benchmark.data.loaders.batches import LoadedBatch, stable_seed
from benchmark.data.loaders.choice import Loader, make_loader
from benchmark.data.splits import DataSet, ImageSplit, hold_out
from benchmark.recipe.batch import Batch
from benchmark.recipe.mixing import distributions_of, mix_views
from benchmark.records.schema import EvaluatedSplit
from benchmark.training.job import Job, Setting

EVALUATION_BATCH = 256


class Supply:
    """The data of a group.

    Args:
        data: the data set.
        jobs: of the group: one protocol and one seed.
        accelerator: owns device and processes.

    Attributes:
        loader: of the training images.
        train: the training set, less what is held out.
        evaluated: the test set, or what is held out.
        split: which of the two it is.
        setting: what the data say that a learner needs.
    """

    def __init__(self, data: DataSet, jobs: Sequence[Job], accelerator: Accelerator) -> None:
        self.data, self.accelerator = data, accelerator
        self.protocol, self.seed = protocol, seed = jobs[0].protocol, jobs[0].seed
        self.train, self.evaluated = data.train, data.test
        self.split: EvaluatedSplit = "test"
        if protocol.validation:
            self.train, self.evaluated = hold_out(data.train, protocol.validation, seed)
            self.split = "validation"
        views = max(job.recipe.views for job in jobs)
        self.loader = self._load(self.train, protocol.batch_size, train=True, views=views)
        self.setting = Setting(data.pictures, self.train.labels)

    def batch(self, loaded: LoadedBatch, count: int) -> Batch:
        """What all members look at in a step, before each takes its own view of it."""
        return batch_of(
            loaded,
            self.protocol,
            classes=self.data.pictures.classes,
            seed=self.seed,
            count=count,
            process=self.accelerator.process_index,
        )

    def examination(self) -> Loader:
        """The evaluated images, as they are."""
        return self._load(self.evaluated, EVALUATION_BATCH, train=False)

    def training_set(self) -> Loader:
        """All training images in their order and as they are, for each process alike."""
        return self._load(self.train, EVALUATION_BATCH, train=False, shared=False)

    def _load(
        self,
        split: ImageSplit,
        batch_size: int,
        *,
        train: bool,
        views: int = 1,
        shared: bool = True,
    ) -> Loader:
        accelerator = self.accelerator
        return make_loader(
            split,
            self.data.pictures,
            batch_size=batch_size,
            seed=self.seed,
            device=accelerator.device,
            shard=(accelerator.process_index, accelerator.num_processes) if shared else (0, 1),
            train=train,
            views=views,
        )


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
