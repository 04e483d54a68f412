"""How long a plan takes: each group, and the whole with so many workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from benchmark.events import Listener
from benchmark.launch.means import Means, slots_of
from benchmark.launch.order import Order
from benchmark.launch.times.schedule import span
from benchmark.matrix.plan import Group
from benchmark.matrix.run import AnyRun, Run
from benchmark.recipe.contract import RecipeInfo
from benchmark.registry import Catalogue
from benchmark.work.fitting import lead
from benchmark.work.forecast.book import Book
from benchmark.work.forecast.forecaster import Forecaster
from benchmark.work.forecast.machine import machine_here
from benchmark.work.forecast.pace import Estimate, Pace, Work, work_of


@dataclass(frozen=True)
class GroupForecast:
    """How long a group takes.

    Attributes:
        runs: of the group.
        estimate: its pace, and where that is from; None if it is not known.
        work: what is left of it; None if nothing of it is trained.
    """

    runs: Group
    estimate: Estimate | None
    work: Work | None

    @property
    def seconds(self) -> float | None:
        """From its start to its records; None if nothing is known of its pace."""
        return self.at(self.estimate.pace if self.estimate else None)

    def at(self, pace: Pace | None) -> float | None:
        """Seconds that it takes at a pace; None if there is none."""
        if self.work is None:
            return 0.0
        return None if pace is None else self.work.seconds(pace)

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "seconds": self.seconds,
            "source": self.estimate.source.value if self.estimate else None,
            "rough": self.estimate.rough if self.estimate else None,
        }


@dataclass(frozen=True)
class Forecast:
    """How long a plan takes.

    Attributes:
        levels: of groups, as the plan has them.
        workers: that train a group each.
    """

    levels: Sequence[Sequence[GroupForecast]]
    workers: int

    @property
    def groups(self) -> list[GroupForecast]:
        """All groups in their order."""
        return [group for level in self.levels for group in level]

    @property
    def unknown(self) -> int:
        """Groups of which nothing is known."""
        return sum(group.seconds is None for group in self.groups)

    @property
    def seconds(self) -> float | None:
        """Of the whole; None if a group's time is not known."""
        if self.unknown:
            return None
        return span([(group.runs, group.seconds or 0.0) for group in self.groups], self.workers)


class Forecasts:
    """Makes forecasts of plans for the means that they are trained with.

    Args:
        order: of a plan; what cannot be trained any more takes no time.
        means: with what it is trained.
    """

    def __init__(self, order: Order, means: Means) -> None:
        self.order, self.means = order, means
        self.workers = slots_of(means)
        threads = means.site(Path(), workers=self.workers).threads
        machine = machine_here(means.precision, threads, means.compiled)
        self.book = Book(means.cache_dir, machine)
        self.forecaster = Forecaster(self.book, order.store)

    def plan(self) -> Forecast:
        """The forecast of what is open."""
        levels = self.order.plan.levels(self.order.kept, lead)
        return Forecast([[self.group(runs) for runs in level] for level in levels], self.workers)

    def group(self, runs: Group) -> GroupForecast:
        """The forecast of a group, from where it stands."""
        trained = [r for r in runs if isinstance(r, Run) and r.identity not in self.order.outcomes]
        if not trained:  # what it builds on has no result, or its weights were brought
            return GroupForecast(runs, None, None)
        done = min(self.order.kept.stands(run.identity, run.source)[0].epoch for run in trained)
        work = work_of(trained[0], lead=lead(trained[0]), done=done)
        return GroupForecast(runs, self.forecaster.estimate(trained), work)

    def weights(self, groups: Sequence[Sequence[AnyRun]]) -> list[float] | None:
        """Seconds of groups beside each other, from one source; None if one trains nothing."""
        trained = [[run for run in group if isinstance(run, Run)] for group in groups]
        if not all(trained):
            return None
        works = [work_of(runs[0], lead=lead(runs[0])) for runs in trained]
        paces = self.forecaster.compare(trained)
        return [work.seconds(pace) for work, pace in zip(works, paces, strict=True)]

    def lacks(self, runs: Sequence[Run]) -> float | None:
        """The memory that a group has here, in MB, if it is known to be too little; else None."""
        here = self._memory_mb()
        return here if here <= self.book.short_of(runs) else None

    def ran_short(self, runs: Sequence[Run]) -> None:
        """Remember that a group ran out of the memory that it has here."""
        self.book.ran_short(runs, self._memory_mb())

    def _memory_mb(self) -> float:
        """What a worker has: its limit, or its share of the device or of the machine."""
        if self.means.memory_gb is not None:
            return 1024 * self.means.memory_gb
        if torch.cuda.is_available():
            sharing = -(-self.workers // torch.cuda.device_count())
            return torch.cuda.get_device_properties(0).total_memory / 2**20 / sharing
        return psutil.virtual_memory().total / 2**20 / self.workers

    def measure(
        self, recipes: Catalogue[RecipeInfo], listener: Listener, *, seconds: float
    ) -> None:
        """Measure every kind of group of which there is no better than a guess."""
        from benchmark.work.forecast.measuring import measure_groups  # not for a plan alone

        wanted: dict[str, list[Run]] = {}
        for group in self.plan().groups:
            runs = [run for run in group.runs if isinstance(run, Run)]
            if runs and self.book.find(runs) is None:
                wanted.setdefault(self.book.name(runs), runs)
        if wanted:
            measure_groups(
                list(wanted.values()),
                recipes,
                self.book,
                data_dir=self.means.data_dir,
                cache_dir=self.means.cache_dir,
                seconds=seconds,
                listener=listener,
            )
            self.forecaster = Forecaster(self.book, self.order.store)
