"""Paces from records: of the same group with another seed, or of its members in other groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from benchmark.errors import RecordError
from benchmark.matrix.run import Run
from benchmark.records.schema import Cost, Record, RunSpec
from benchmark.records.store import Store
from benchmark.work.forecast.machine import Machine
from benchmark.work.forecast.pace import Estimate, Pace, Source, work_of

MOST_SEEDS = 8  # that are looked at of one run


class Recorded:
    """What a store's records tell of paces.

    Args:
        store: of records.
        machine: whose records count.
    """

    def __init__(self, store: Store, machine: Machine) -> None:
        self.store, self.machine = store, machine
        self._seen: dict[Path, list[Record]] = {}

    def estimate(self, runs: Sequence[Run]) -> Estimate | None:
        """The pace of a group.

        Of a group that trained with the same members, whatever their seed, it is what the group
        took. Otherwise the members' shares of other groups are added up, which is rough: a share
        says how many trained there, and not which of them took how long.
        """
        records = [self._records_of(run) for run in runs]
        if not all(records):
            return None
        of = {record.identity: place for place, rows in enumerate(records) for record in rows}
        known = {record.identity: record for rows in records for record in rows}
        groups = [
            [known[identity] for identity in group]
            for group in {_group(record) for record in known.values()}
            if group <= of.keys() and len(group) == len(runs)
            and len({of[identity] for identity in group}) == len(runs)
        ]  # fmt: skip
        if groups:
            paces = [_together(group, runs[0]) for group in groups]
            rough = not self.machine.names_its_device
            return Estimate(_median(paces), Source.records, rough)
        shares = [_median([_alone(record, run) for record in rows])
                  for run, rows in zip(runs, records, strict=True)]  # fmt: skip
        return Estimate(_sum(shares), Source.shares, rough=True)

    def _records_of(self, run: Run) -> list[Record]:
        """Records of a run with any seed, from this machine."""
        folder = self.store.path_of(run.spec).parent
        if folder not in self._seen:
            self._seen[folder] = list(self._read(sorted(folder.glob("seed*.json"))[:MOST_SEEDS]))
        return [record for record in self._seen[folder] if _is_as(record.spec, run.spec)]

    def _read(self, paths: Iterable[Path]) -> Iterable[Record]:
        for path in paths:
            try:
                record = self.store.read(path)
            except RecordError:
                continue
            cost = record.cost
            if cost is None or cost.earlier:
                continue
            if self.machine.is_of(record.environment, compiled=bool(cost.compiled)):
                yield record


def _is_as(one: RunSpec, other: RunSpec) -> bool:
    """Whether two runs differ in nothing but their seeds."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("data_revision", "recipe_version", "settings", "protocol_values", "network")
    )


def _group(record: Record) -> frozenset[str]:
    return frozenset((record.identity, *_cost(record).group))


def _together(group: Sequence[Record], run: Run) -> Pace:
    """The pace of a group from the records of all its members."""
    costs = [_cost(record) for record in group]
    work = work_of(run, lead=costs[0].extra_epochs)
    seconds = max(cost.group_seconds for cost in costs)
    examined = sum(cost.evaluation_seconds for cost in costs)
    return Pace(
        images_per_s=work.epochs * work.images / seconds,
        examination_s=examined / work.examinations,
        start_s=0.0,
    )


def _alone(record: Record, run: Run) -> Pace:
    """A member's share of the group that it trained in."""
    cost = _cost(record)
    work = work_of(run, lead=cost.extra_epochs)
    return Pace(
        images_per_s=work.epochs * work.images / cost.train_seconds,
        examination_s=cost.evaluation_seconds / work.examinations,
        start_s=0.0,
    )


def _median(paces: Sequence[Pace]) -> Pace:
    return Pace(
        images_per_s=median(pace.images_per_s for pace in paces),
        examination_s=median(pace.examination_s for pace in paces),
        start_s=median(pace.start_s for pace in paces),
    )


def _sum(paces: Sequence[Pace]) -> Pace:
    """One after the other on the same images."""
    return Pace(
        images_per_s=1 / sum(1 / pace.images_per_s for pace in paces),
        examination_s=sum(pace.examination_s for pace in paces),
        start_s=sum(pace.start_s for pace in paces),
    )


def _cost(record: Record) -> Cost:
    if record.cost is None:
        raise ValueError("a record without a cost has no pace")
    return record.cost
