"""A short measurement of the groups of a plan: a few seconds of their steps and examinations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmark.data.loaders.choice import make_loader
from benchmark.data.opening import load_data
from benchmark.data.splits import DataSet
from benchmark.errors import BenchmarkError
from benchmark.events import Listener
from benchmark.matrix.run import AnyRun, Run
from benchmark.networks.creation import create_network
from benchmark.networks.inference import inference_copy
from benchmark.recipe.contract import RecipeInfo
from benchmark.registry import Catalogue
from benchmark.training.supply import EVALUATION_BATCH
from benchmark.work.accelerator import make_accelerator
from benchmark.work.forecast.arithmetic import macs_of_step
from benchmark.work.forecast.book import Book
from benchmark.work.forecast.pace import Pace, images_of
from benchmark.work.memory import keep_freed
from benchmark.work.speed import Bench

EXAMINED = 4  # batches of an examination that are enough to know the others by


def measure_groups(
    groups: Sequence[Sequence[Run]],
    recipes: Catalogue[RecipeInfo],
    book: Book,
    *,
    data_dir: Path | None,
    cache_dir: Path,
    seconds: float,
    listener: Listener,
) -> None:
    """Measure groups and keep their paces; what cannot be measured is said and stays unknown.

    Args:
        groups: of any data sets.
        recipes: all that there are.
        book: where the paces are kept.
        data_dir: local folder that is looked at before anything is downloaded.
        cache_dir: for decoded and drawn images.
        seconds: spent on the steps of each.
        listener: hears of the progress.
    """
    if book.machine.compiled:
        listener.note("compiled steps are not measured: the first group that is trained tells.")
        return
    keep_freed()  # as in a process that trains
    accelerator = make_accelerator(book.machine.precision)
    if book.machine.device.startswith("cpu"):
        torch.set_num_threads(book.machine.threads)
    ordered = sorted(groups, key=_images)
    with listener.progress("measuring groups", len(groups)) as advance:
        for _, same in itertools.groupby(ordered, _images):
            of_one_set = list(same)
            first = of_one_set[0][0]
            data = load_data(
                first.card, data_dir, cache_dir, protocol=first.protocol, listener=listener
            )
            bench = Bench(data, recipes, accelerator, seconds)
            for runs in of_one_set:
                try:
                    book.keep(runs, _measured(runs, bench, data))
                except BenchmarkError as error:
                    listener.note(f"not measured: {'; '.join(r.label for r in runs)}: {error}")
                advance(1)


def _images(runs: Sequence[Run]) -> tuple[str, str]:
    """What images a group sees; equal ones are loaded once."""
    return runs[0].card.name, repr(runs[0].pictures)


def _measured(runs: Sequence[Run], bench: Bench, data: DataSet) -> Pace:
    rate = bench.learners(runs)
    heard = {role.identity: role for run in runs for role in run.heard}
    _, evaluated = images_of(runs[0])
    return Pace(
        images_per_s=rate,
        examination_s=evaluated * _seconds_of_image(runs, bench, data),
        start_s=evaluated * _seconds_of_image(list(heard.values()), bench, data),
        macs_per_image=macs_of_step(runs),
        how="measured",
    )


@torch.no_grad()
def _seconds_of_image(runs: Sequence[AnyRun], bench: Bench, data: DataSet) -> float:
    """Seconds for the answers of all networks to one evaluated image, its loading included."""
    if not runs:
        return 0.0
    device = bench.accelerator.device
    networks = [
        inference_copy(
            create_network(
                run.network, classes=data.pictures.classes, image_size=data.pictures.shape
            )
        )
        .to(device)
        .to(memory_format=torch.channels_last)
        for run in runs
    ]
    loader = make_loader(
        data.test, data.pictures, batch_size=EVALUATION_BATCH, seed=0,
        device=device, shard=(0, 1), train=False,
    )  # fmt: skip
    images, begun = 0, 0.0
    for number, batch in enumerate(itertools.chain(loader.epoch(0), loader.epoch(0))):
        if number == 1:  # the first is the warm-up
            images, begun = 0, time.perf_counter()
        for network in networks:
            network(batch.images).logits.argmax(dim=1)[0].item()  # waits for the device
        images += batch.global_size
        if number == EXAMINED:
            break
    return (time.perf_counter() - begun) / images
