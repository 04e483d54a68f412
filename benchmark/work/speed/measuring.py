"""One whole measurement: everything in rounds, then what a step is made of."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TypedDict

import torch

from benchmark.cards.protocol import Protocol
from benchmark.data.opening import load_data
from benchmark.events import Listener
from benchmark.matrix.plan import Cell, cells_of
from benchmark.matrix.request import Request, choice_of
from benchmark.matrix.run import Run
from benchmark.processes import cores
from benchmark.recipe.discovery import load_recipes
from benchmark.records.speed import GroupSpeed, LoaderSpeed, Repeats, Speed, StepSpeed
from benchmark.training.precision import precision_of
from benchmark.training.steps.programs import COMPILING, Programs, keep_programs, programs_for
from benchmark.work.accelerator import make_accelerator
from benchmark.work.environment import environment, processor
from benchmark.work.fitting import Fitting
from benchmark.work.memory import keep_freed
from benchmark.work.speed.bench import LOADER, UNCACHED, Bench
from benchmark.work.speed.clock import ROUNDS
from benchmark.work.speed.host import host_of
from benchmark.work.speed.peaks import better, peak_of
from benchmark.work.speed.phases import Phases

GROUP = "group"
PHASES = 0.2  # of a turn, spent on the parts of a step after it


def measure(
    request: Request,
    *,
    data_dir: Path | None,
    cache_dir: Path,
    precision: str,
    seconds: float,
    compiled: bool = False,
    listener: Listener | None = None,
) -> Speed:
    """Images/s of loader, teacher, every recipe alone and all of them as a group.

    Of a recipe with several stages it is the last one, the protocol's own.
    Where images are read from what was decoded once, the loader is measured on the originals, too.

    Args:
        request: one data set; of several pairs the first is measured.
        data_dir: local folder that is looked at before anything is downloaded.
        cache_dir: for decoded and drawn images.
        precision: ``fp32``, ``bf16`` or ``auto``.
        seconds: for which each rate is measured, in all rounds together.
        compiled: whether the steps are.
        listener: hears of the progress of fetching and decoding.
    """
    recipes = load_recipes(request.paths)
    cells, _ = cells_of(choice_of(request), recipes, Fitting().refusal)
    first = cells[0]
    keep_freed()  # as in a process that trains
    cells = [c for c in cells if (c.card, c.pair) == (first.card, first.pair) and c.run.seed == 0]
    data = load_data(
        first.card, data_dir, cache_dir, protocol=first.run.protocol, listener=listener
    )
    keep_programs(cache_dir)
    if compiled:
        (listener or Listener()).note(COMPILING)
    accelerator, note = make_accelerator(precision), (listener or Listener()).note

    def programs(protocol: Protocol) -> Programs | None:
        return programs_for(compiled, accelerator, protocol, steps=0, note=note)

    session = Session(Bench(data, recipes, accelerator, seconds, programs), cells)
    return session.speed(compiled=compiled)


class Session:
    """Everything of one measurement, in rounds.

    Args:
        bench: makes what is measured.
        cells: of one data set and pair, whose runs are measured alone and as a group.

    Attributes:
        rates: images/s by what was measured, round by round.
        unsettled: what still got faster or slower when its warm-up ended.
        peak: the better of before and after.
    """

    def __init__(self, bench: Bench, cells: Sequence[Cell]) -> None:
        self._bench, self._first = bench, cells[0]
        device = bench.accelerator.device
        before = peak_of(device)
        self._together = bench.shared(cells)
        self._runs = {_name(cell.run): [cell.run] for cell in cells} | {GROUP: self._together}
        self._tasks = {**bench.loaders(cells[0].run), "teacher": bench.teacher(cells[0])}
        self._phases: dict[str, Phases] = {}
        for name, runs in self._runs.items():
            steps = bench.steps(runs)
            self._tasks[name] = bench.task(steps, runs)
            self._phases[name] = Phases(steps, self._tasks[name], device)
        self.rates, self.unsettled = bench.clock.rounds(self._tasks, self._take_phases)
        self.peak = better(before, peak_of(device))

    def speed(self, *, compiled: bool) -> Speed:
        """All figures, with what was measured, when and where."""
        accelerator, run = self._bench.accelerator, self._first.run
        return Speed(
            dataset=self._first.card.name,
            pair=str(self._first.pair),
            protocol=run.protocol.name,
            batch_size=run.protocol.batch_size,
            precision=precision_of(accelerator),
            device=str(accelerator.device),
            threads=torch.get_num_threads(),
            compiled=compiled,
            rounds=ROUNDS,
            seconds=self._bench.clock.seconds,
            unsettled=tuple(self.unsettled),
            peak=self.peak,
            loader=self.loader(),
            teacher=Repeats(**repeats(self.rates["teacher"])),
            recipes=self.apart(),
            group=self.group(),
            processor=processor(),
            cores=cores(),
            environment=environment(accelerator),
            measured=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        )

    def loader(self) -> LoaderSpeed:
        """Loading alone, and what keeping the decoded images saves."""
        speed = LoaderSpeed(**repeats(self.rates[LOADER]))
        if (uncached := self.rates.get(UNCACHED)) is None:
            return speed
        ratios = [kept / anew for kept, anew in zip(self.rates[LOADER], uncached, strict=True)]
        known = {"uncached_images_per_s": median(uncached), "cache_speedup": median(ratios)}
        return speed.model_copy(update=known)

    def apart(self) -> dict[str, StepSpeed]:
        """Every recipe trained alone, by its label."""
        alone = {name: runs[0] for name, runs in self._runs.items() if name != GROUP}
        return {run.recipe_label: self._figures(name) for name, run in alone.items()}

    def group(self) -> GroupSpeed:
        """Runs that train side by side, and what that saves over one after another."""
        apart = (self.rates[_name(run)] for run in self._together)
        rounds = zip(self.rates[GROUP], *apart, strict=True)
        # One after another they take the sum of their times.
        speedups = [rate * sum(1 / alone for alone in rates) for rate, *rates in rounds]
        return GroupSpeed(
            **self._figures(GROUP).model_dump(),
            recipes=tuple(run.recipe_label for run in self._together),
            speedup_over_apart=median(speedups),
            lowest_speedup=min(speedups),
            highest_speedup=max(speedups),
        )

    def _take_phases(self, name: str) -> None:
        if name in self._phases:
            self._phases[name].take(PHASES * self._bench.clock.turn_s)

    def _figures(self, name: str) -> StepSpeed:
        """All that is told of a step."""
        runs, rates = self._runs[name], self.rates[name]
        batch_size, precision = runs[0].protocol.batch_size, precision_of(self._bench.accelerator)
        needs, step_ms = self._bench.needs(runs), 1000 * batch_size / median(rates)
        floor = needs.floor(self.peak, precision, step_ms)
        return StepSpeed(
            **repeats(rates),
            share_of_peak=floor.arithmetic_ms / step_ms,
            phases_ms=self._phases[name].medians(),
            floor=floor,
            host=host_of(self._tasks[name], self._bench.clock),
        )


class _Repeats(TypedDict):
    images_per_s: float
    lowest: float
    highest: float


def repeats(rates: Sequence[float]) -> _Repeats:
    """The median of some rates, the lowest and the highest."""
    return {"images_per_s": median(rates), "lowest": min(rates), "highest": max(rates)}


def _name(run: Run) -> str:
    """What a run's rates are found under, whatever a recipe is called."""
    return f"recipe {run.recipe_label}"
