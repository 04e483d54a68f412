"""What is measured on one data set and device: loaders, teachers, learners alone and in groups."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from accelerate import Accelerator

from benchmark.cards.protocol import Protocol
from benchmark.data.kept.pixel_files import KeptImages
from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.loaders.choice import Loader, make_loader
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import UsageError
from benchmark.matrix.plan import Cell
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked, Run
from benchmark.networks.outputs import Network
from benchmark.recipe.contract import RecipeInfo
from benchmark.records.schema import ALONE
from benchmark.registry import Catalogue
from benchmark.training.job import Job, Setting, make_network
from benchmark.training.precision import precision_of
from benchmark.training.steps.programs import Programs
from benchmark.work.speed.clock import Clock, Task
from benchmark.work.speed.floors import Needs, needs_of
from benchmark.work.speed.steps import Steps, teachers_of

LOADER, UNCACHED = "loader", "uncached loader"
AHEAD = 2 * (os.cpu_count() or 1)  # batches that worker processes make before they are asked for


class Bench:
    """Makes what is measured, on one data set and device.

    Args:
        data: the data set.
        recipes: all that there are.
        accelerator: owns device and precision.
        seconds: for which each rate is measured.
        make_programs: compiles the steps of a protocol; None makes them as they are written.

    Attributes:
        clock: measures the rates.
    """

    def __init__(
        self,
        data: DataSet,
        recipes: Catalogue[RecipeInfo],
        accelerator: Accelerator,
        seconds: float,
        make_programs: Callable[[Protocol], Programs | None] = lambda protocol: None,
    ) -> None:
        self.data, self.recipes, self._make_programs = data, recipes, make_programs
        self.accelerator = accelerator
        self.clock = Clock(accelerator.device, seconds)
        self.setting = Setting(data.pictures, data.train.labels)
        self._drawn: dict[str, Network] = {}
        self._streams: dict[tuple[int, int], tuple[Iterator[LoadedBatch], int]] = {}

    def learners(self, runs: Sequence[Run]) -> float:
        """Images/s of learners that train side by side, each image counted once."""
        task = self.task(self.steps(runs), runs)
        rates, _ = self.clock.rounds({"learners": task})
        return median(rates["learners"])

    def steps(self, runs: Sequence[Run]) -> Steps:
        """Learners that train side by side, with their teachers."""
        programs = self._make_programs(runs[0].protocol)
        jobs = [self._job(run) for run in runs]
        return Steps(jobs, self.setting, self.accelerator, programs)

    def task(self, steps: Steps, runs: Sequence[Run]) -> Task:
        """Train learners on batches as their group would get them."""
        views = max(learner.recipe.views for learner in steps.learners)
        batches, ahead = self._batches(runs[0], views=views)
        return Task(batches, steps.step, ahead)

    def teacher(self, cell: Cell) -> Task:
        """The teacher's forward, with a batch at hand."""
        network = self._network(cell.run.roles.get("teacher") or self._teacher_alone(cell))
        programs = self._make_programs(cell.run.protocol)
        teachers = teachers_of([network], self.accelerator, needs=set(), programs=programs)

        def answer(loaded: LoadedBatch) -> None:
            teachers.next_batch()
            teachers.ask(network, loaded.images)

        batches, _ = self._batches(cell.run)
        return Task(itertools.repeat(next(batches)), answer)

    def loaders(self, run: Run) -> dict[str, Task]:
        """Loading and augmentation alone; where images are kept decoded, without that, too."""
        streams = {LOADER: self._batches(run)}
        images = self.data.train.images
        if isinstance(images, KeptImages) and images.original is not None:
            encoded = ImageSplit(images.original, self.data.train.labels)
            # Decoded again and again by workers, and never kept on a device.
            streams[UNCACHED] = self._open(run, encoded, WorkersLoader)
        return {
            name: Task(batches, lambda batch: None, ahead)
            for name, (batches, ahead) in streams.items()
        }

    def shared(self, cells: Sequence[Cell]) -> list[Run]:
        """The largest set of the cells' runs that would train as one group."""
        teachers = [cell.run.heard[0].identity for cell in cells if cell.run.heard]
        common = max(teachers, key=teachers.count, default=None)
        return [
            cell.run for cell in cells if not cell.run.heard or cell.run.heard[0].identity == common
        ]

    def needs(self, runs: Sequence[Run]) -> Needs:
        """What the networks of a step need that trains some runs."""
        heard = {id(n): n for run in runs for n in map(self._network, run.heard)}
        return needs_of(
            [self._network(run) for run in runs],
            heard.values(),
            image_size=self.setting.pictures.shape,
            batch_size=runs[0].protocol.batch_size,
            precision=precision_of(self.accelerator),
        )

    def _teacher_alone(self, cell: Cell) -> Run:
        resolver = Resolver(cell.card, cell.run.protocol, self.recipes)
        return resolver.resolve(Asked(ALONE, {}, cell.pair.teacher, cell.pair, seed=0))

    def _job(self, run: Run) -> Job:
        return Job(
            identity=run.identity,
            label=run.label,
            network=run.network,
            recipe=run.make_recipe(),
            protocol=run.protocol.model_copy(update={"pretrained": False}),
            seed=run.seed,
            roles={name: self._network(role) for name, role in run.roles.items()},
        )

    def _network(self, run: AnyRun) -> Network:
        """A network as it would be taught, or teach, with weights that were only drawn."""
        if not isinstance(run, Run):
            raise UsageError("kdbench speed measures with drawn weights; leave files out.")
        if run.identity not in self._drawn:
            network = make_network(self._job(run), self.setting)
            self._drawn[run.identity] = network.eval().requires_grad_(False)
        return self._drawn[run.identity]

    def _batches(self, run: Run, *, views: int = 1) -> tuple[Iterator[LoadedBatch], int]:
        """Full batches of the training set without end, and how many may be made ahead.

        What is measured in turn takes from one stream, so that worker processes are there once.
        """
        key = run.protocol.batch_size, views
        if key not in self._streams:
            self._streams[key] = self._open(run, self.data.train, make_loader, views=views)
        return self._streams[key]

    def _open(
        self, run: Run, split: ImageSplit, make: Callable[..., Loader], *, views: int = 1
    ) -> tuple[Iterator[LoadedBatch], int]:
        size = run.protocol.batch_size
        loader = make(
            split, self.data.pictures, batch_size=size, seed=0,
            device=self.accelerator.device, shard=(0, 1), train=True, views=views,
        )  # fmt: skip
        return _endless(loader, size), AHEAD if isinstance(loader, WorkersLoader) else 0


def _endless(loader: Loader, full: int) -> Iterator[LoadedBatch]:
    for epoch in itertools.count():
        yield from (batch for batch in loader.epoch(epoch) if batch.global_size == full)
