"""What a board is made of: tables of columns of cells, each cell with the records behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from benchmark.records.schema import Record
from benchmark.records.speed import DeviceSpeed
from benchmark.reports.board.metrics import TOP1, Metric
from benchmark.reports.board.provenance import provenance
from benchmark.reports.board.statistics import Difference, Summary, summarise


@dataclass(frozen=True)
class Cell:
    """One method on one pair, over the seeds.

    Attributes:
        method: the recipe, with changed settings in brackets and the variant behind it.
        recipe: its bare name.
        metric: the board's; score, gain, teacher and rank are of it.
        records: the latest one of every seed, by seed; failed ones too.
        missing: seeds that other methods of the pair have and this one has no record of.
        mark: in what its records differ from others of the same method, which may not stand in one
            mean with them; a part of ``method``. Empty if there are no others.
        gain: over the student alone, paired by seed.
        teacher: score of the teachers used; None without a teacher.
        rank: ``best``, or ``open`` if it is not shown to be worse than the best, or None.
        notes: what its mean averages and a reader should know, a sentence each.
    """

    method: str
    recipe: str
    metric: Metric
    records: Mapping[int, Record]
    missing: tuple[int, ...]
    mark: str = ""
    gain: Difference | None = None
    teacher: Summary | None = None
    rank: Literal["best", "open"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def provenance(self) -> Mapping[str, tuple[str, ...]]:
        """What the mean averages: every distinct value by what it is."""
        return provenance(self.records.values())

    def values(self, metric: Metric) -> dict[int, float]:
        """Any metric by seed, of the seeds that have it."""
        numbers = {seed: metric.of(record) for seed, record in self.records.items()}
        return {seed: number for seed, number in numbers.items() if number is not None}

    def summary(self, metric: Metric) -> Summary | None:
        """Any metric over the seeds; None if no seed has it."""
        return summarise(self.values(metric).values())

    def latest(self, metric: Metric) -> float | None:
        """A number that all seeds share, as the last one has it: of sizes there is no mean."""
        return next(reversed(self.values(metric).values()), None)

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The board's metric by seed."""
        return self.values(self.metric)

    @cached_property
    def score(self) -> Summary | None:
        """The board's metric over the seeds; None if no seed has a result."""
        return self.summary(self.metric)

    @property
    def failures(self) -> dict[str, tuple[int, ...]]:
        """Seeds by what went wrong, in the order of the words for it."""
        failed = {seed: r.status for seed, r in self.records.items() if r.status != "ok"}
        return {
            status: tuple(seed for seed in failed if failed[seed] == status)
            for status in sorted(set(failed.values()))
        }

    @property
    def complete(self) -> bool:
        """Whether every seed of the pair has a result."""
        return not self.missing and not self.failures


@dataclass(frozen=True)
class Column:
    """One pair: its teacher, its student trained alone, and its cells by method.

    Attributes:
        teacher, student: names of the networks.
        seeds: of all cells together; a complete cell has them all.
        teacher_score: of the teachers trained alone that the cells used.
        alone: the student trained alone, if there is a record of it.
        cells: by method.
        protocol_values: what the protocol asked of the student, in the latest record.
        mark: in what its records differ from those of other columns of the pair, with which they
            cannot be compared; empty if there are no others.
        teacher_notes: what a reader should know of the teachers, a sentence each.
    """

    teacher: str
    student: str
    seeds: tuple[int, ...]
    teacher_score: Summary | None
    alone: Cell | None
    cells: Mapping[str, Cell]
    protocol_values: Mapping[str, Any]
    mark: str = ""
    teacher_notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkRow:
    """A network that was trained and is not a cell: alone, or as a step of a method."""

    network: str
    cell: Cell


@dataclass(frozen=True)
class Table:
    """All results of one data set under one protocol.

    Attributes:
        evaluated_on: ``test``, or ``validation`` if the protocol holds out a part for tuning.
        notes: what a reader must know before comparing.
        footnotes: what a reader should know of some of the rows; their place counts from 1.
        metric: the board's.
    """

    dataset: str
    protocol: str
    ranked: bool
    evaluated_on: str
    columns: tuple[Column, ...]
    networks: tuple[NetworkRow, ...]
    notes: tuple[str, ...]
    footnotes: tuple[str, ...] = ()
    metric: Metric = TOP1

    def numbers(self, notes: Sequence[str]) -> tuple[int, ...]:
        """The numbers of those notes of a cell that stand as footnotes below the table."""
        return tuple(n for n, note in enumerate(self.footnotes, start=1) if note in notes)

    def methods(self, columns: Sequence[Column] | None = None) -> list[str]:
        """The order of the rows.

        Ranked: by mean score over the pairs, the best first, with methods that lack pairs or seeds
        behind those that have all. Not ranked: by name.

        Args:
            columns: the pairs that are shown; None for all.
        """
        shown = self.columns if columns is None else columns
        names = sorted({name for column in shown for name in column.cells})
        if not self.ranked:
            return names

        def place(name: str) -> tuple[int, int, float]:
            cells = [column.cells[name] for column in shown if name in column.cells]
            means = [score.mean for cell in cells if (score := cell.score)]
            whole = sum(cell.complete for cell in cells)
            return -whole, -len(means), -self.metric.sign * sum(means)

        return sorted(names, key=place)


@dataclass(frozen=True)
class Board:
    """Everything that a report shows.

    Attributes:
        tables: ranked protocols first within each data set.
        stale: number of records left out, by reason.
        unreadable: number of files left out, of records and of reported numbers.
        damaged: their names, as far as they are known.
        beside: names of files beside the records, histories and attestations, that cannot be
            trusted; no number is of them.
        metric: what the scores of all tables are.
        speeds: how fast machines train, by device.
    """

    tables: tuple[Table, ...]
    stale: Mapping[str, int]
    unreadable: int
    damaged: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    metric: Metric = TOP1
    speeds: tuple[DeviceSpeed, ...] = ()
