"""How fast this machine trains: images/s of every part, and its share of the measured peak.

The clock includes loading, augmentation, the teacher, the loss, the update; it excludes evaluation,
checkpoints and the first steps. Weights are random: they do not change the speed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from benchmark.data.kept.pixel_files import KeptImages
from benchmark.data.loaders.batches import LoadedBatch, Loader
from benchmark.data.loaders.choice import make_loader
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.opening import load_data
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import UsageError
from benchmark.events import Listener
from benchmark.matrix.plan import Cell, cells_of
from benchmark.matrix.request import Request, choice_of
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked, Run
from benchmark.networks.cost import count_macs
from benchmark.networks.outputs import Network
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.records.schema import ALONE
from benchmark.registry import Catalogue
from benchmark.training.job import Job, Setting, make_network
from benchmark.training.learner import Learner
from benchmark.training.precision import dtype_of, precision_of
from benchmark.training.supply import batch_of
from benchmark.training.teaching import Teachers
from benchmark.work.accelerator import make_accelerator
from benchmark.work.fitting import Fitting

WARM_UP_STEPS = 8
MATRIX_SIZES = (256, 512, 1024, 2048)
LONG_PRODUCT = 0.15  # seconds


def measure(
    request: Request,
    *,
    data_dir: Path | None,
    cache_dir: Path,
    precision: str,
    seconds: float,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Images/s of loader, teacher, every recipe alone and all of them as a group.

    Of a recipe with several stages it is the last one, the protocol's own.
    Where images are read from what was decoded once, the loader is measured on the originals, too.

    Args:
        request: one data set; of several pairs the first is measured.
        data_dir: local folder that is looked at before anything is downloaded.
        cache_dir: for decoded and drawn images.
        precision: ``fp32``, ``bf16`` or ``auto``.
        seconds: spent on each figure.
        listener: hears of the progress of fetching and decoding.
    """
    recipes = load_recipes(request.paths)
    cells, _ = cells_of(choice_of(request), recipes, Fitting().refusal)
    first = cells[0]
    cells = [c for c in cells if (c.card, c.pair) == (first.card, first.pair) and c.run.seed == 0]
    accelerator = make_accelerator(precision)
    precision = precision_of(accelerator)
    protocol = first.run.protocol
    data = load_data(first.card, data_dir, cache_dir, protocol=protocol, listener=listener)
    bench = Bench(data, recipes, accelerator, seconds)
    peaks = {name: peak_gflops(accelerator.device, name) for name in ("fp32", "bf16")}
    figures: dict[str, Any] = {
        "dataset": first.card.name,
        "pair": str(first.pair),
        "batch_size": first.run.protocol.batch_size,
        "precision": precision,
        "device": str(accelerator.device),
        "threads": torch.get_num_threads(),
        "peak": {f"{name}_gflops": value for name, value in peaks.items()},
        "loader": bench.loader(first),
        "teacher": {"images_per_s": bench.teacher(first)},
    }
    figures["recipes"] = {
        cell.run.recipe_label: bench.recipe(cell.run, peaks[precision]) for cell in cells
    }
    figures["group"] = bench.group(cells, figures["recipes"])
    return figures


class Bench:
    """Measures on one data set and device."""

    def __init__(
        self,
        data: DataSet,
        recipes: Catalogue[RecipeInfo],
        accelerator: Accelerator,
        seconds: float,
    ) -> None:
        self.data, self.recipes = data, recipes
        self.accelerator, self.seconds = accelerator, seconds
        self.setting = Setting(data.pictures, data.train.labels)
        self._drawn: dict[str, Network] = {}

    def loader(self, cell: Cell) -> dict[str, float]:
        """Images/s of loading and augmentation alone.

        Where images were decoded beforehand, also what decoding them every time gives, and how
        much faster the loader is without.
        """
        figures = {"images_per_s": self._clock(self._batches(cell.run), lambda batch: None)}
        images = self.data.train.images
        if isinstance(images, KeptImages) and images.original is not None:
            encoded = ImageSplit(images.original, self.data.train.labels)
            batches = self._batches(cell.run, encoded)
            figures["uncached_images_per_s"] = self._clock(batches, lambda batch: None)
            figures["cache_speedup"] = figures["images_per_s"] / figures["uncached_images_per_s"]
        return figures

    def teacher(self, cell: Cell) -> float:
        """Images/s of the teacher's forward, batches at hand."""
        network = self._network(cell.run.roles.get("teacher") or self._teacher_alone(cell))
        teachers = self._teachers([network])

        def answer(loaded: LoadedBatch) -> None:
            teachers.next_batch()
            teachers.ask(network, loaded.images)

        batch = next(self._batches(cell.run))
        return self._clock(itertools.repeat(batch), answer)

    def recipe(self, run: Run, peak_gflops: float) -> dict[str, float]:
        """Images/s of a run trained alone, and its share of the machine's peak."""
        rate = self.learners([run])
        share = rate * self.flops_per_image(run) / (1e9 * peak_gflops)
        return {"images_per_s": rate, "share_of_peak": share}

    def group(
        self, cells: Sequence[Cell], apart: Mapping[str, Mapping[str, float]]
    ) -> dict[str, Any]:
        """Images/s of runs that train side by side, and what that saves over one after another."""
        together = self.shared(cells)
        one_by_one = 1 / sum(1 / apart[run.recipe_label]["images_per_s"] for run in together)
        rate = self.learners(together)
        return {
            "recipes": [run.recipe_label for run in together],
            "images_per_s": rate,
            "speedup_over_apart": rate / one_by_one,
        }

    def learners(self, runs: Sequence[Run]) -> float:
        """Images/s of learners that train side by side, each image counted once."""
        jobs = [self._job(run) for run in runs]
        learners = [Learner(job, self.setting, self.accelerator) for job in jobs]
        teachers = self._teachers(
            [job.roles[role] for job in jobs for role in job.heard],
            {need for job in jobs for need in job.recipe.info.needs},
        )
        for learner in learners:
            learner.start_epoch(0)  # the protocol's own stage
        counter, protocol = itertools.count(), runs[0].protocol

        def step(loaded: LoadedBatch) -> None:
            number = next(counter)
            teachers.next_batch()
            batch = batch_of(
                loaded, protocol, classes=self.setting.pictures.classes, seed=0, count=number
            )
            for learner in learners:
                learner.step(batch, teachers, weight=loaded.weight, at=0.0, count=number)

        views = max(job.recipe.views for job in jobs)
        return self._clock(self._batches(runs[0], views=views), step)

    def shared(self, cells: Sequence[Cell]) -> list[Run]:
        """The largest set of the cells' runs that would train as one group."""
        teachers = [cell.run.heard[0].identity for cell in cells if cell.run.heard]
        common = max(teachers, key=teachers.count, default=None)
        return [
            cell.run for cell in cells if not cell.run.heard or cell.run.heard[0].identity == common
        ]

    def flops_per_image(self, run: Run) -> float:
        """Operations of the networks for one image: 2 a multiply-add, backward twice forward."""
        size = self.setting.pictures.shape
        flops = 6.0 * count_macs(self._network(run), size)
        flops += sum(2.0 * count_macs(self._network(teacher), size) for teacher in run.heard)
        return flops

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

    def _teachers(self, networks: Sequence[Network], needs: Collection[str] = ()) -> Teachers:
        dtype, device = dtype_of(self.accelerator), self.accelerator.device
        return Teachers(networks, device=device, dtype=dtype, needs=needs)

    def _batches(
        self, run: Run, split: ImageSplit | None = None, *, views: int = 1
    ) -> Iterator[LoadedBatch]:
        """Full batches of a run without end, from a split instead of the training set if given."""
        # Originals are decoded again and again by workers, and never kept on a device.
        make: Callable[..., Loader] = make_loader if split is None else WorkersLoader
        loader = make(
            split or self.data.train, self.data.pictures, batch_size=run.protocol.batch_size,
            seed=0, device=self.accelerator.device, shard=(0, 1), train=True, views=views,
        )  # fmt: skip
        full = run.protocol.batch_size
        for epoch in itertools.count():
            yield from (batch for batch in loader.epoch(epoch) if batch.global_size == full)

    def _clock(
        self, batches: Iterator[LoadedBatch], work: Callable[[LoadedBatch], object]
    ) -> float:
        for batch in itertools.islice(batches, WARM_UP_STEPS):
            work(batch)
        self._wait()
        begun, images = time.perf_counter(), 0
        for batch in batches:
            work(batch)
            images += batch.global_size
            if time.perf_counter() - begun > self.seconds:
                break
        self._wait()
        return images / (time.perf_counter() - begun)

    def _wait(self) -> None:
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize()


def peak_gflops(device: torch.device, precision: str) -> float:
    """Best speed of a square matrix product, in 10⁹ operations a second.

    Each size is tried five times, and the next larger one unless that took long: a processor that
    emulates bf16 would take minutes for the largest.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if precision not in ("bf16", "fp32"):
        raise UsageError(f"unknown precision '{precision}'. Choose fp32 or bf16.")
    best = 0.0
    for size in MATRIX_SIZES:
        a = torch.randn(size, size, device=device, dtype=dtype)
        shortest = min(_seconds_of_product(a) for _ in range(5))
        best = max(best, 2 * size**3 / shortest / 1e9)
        if shortest > LONG_PRODUCT:
            break
    return best


def _seconds_of_product(a: torch.Tensor) -> float:
    begun = time.perf_counter()
    product = a @ a
    product[0, 0].item()  # waits for the device
    return time.perf_counter() - begun
