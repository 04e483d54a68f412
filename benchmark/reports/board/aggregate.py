"""From records to the numbers of the tables: one cell per pair and method, over the seeds.

Only the accuracy of the last epoch enters. Nothing here depends on the order of the records.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from benchmark.records.canonical import canonical_json, recipe_label
from benchmark.records.schema import ALONE, DRAW, IMPORTED, Record, RunSpec
from benchmark.reports.board.staleness import Current, stale_records
from benchmark.reports.board.statistics import Difference, Summary, paired, summarise


@dataclass(frozen=True)
class Cell:
    """One method on one pair, over the seeds.

    Attributes:
        method: the recipe, with changed settings in brackets and the variant behind it.
        recipe: its bare name.
        top1: last-epoch accuracy; None if no seed has a result.
        by_seed: the accuracies.
        failures: seeds by what went wrong.
        missing: seeds that other methods of the pair have and this one has no record of.
        gain: over the student alone, paired by seed.
        teacher: accuracy of the teachers used; None without a teacher.
        parameters, macs: of what is deployed.
        rank: ``best``, or ``open`` if it is not shown to be worse than the best, or None.
    """

    method: str
    recipe: str
    top1: Summary | None
    by_seed: Mapping[int, float]
    failures: Mapping[str, tuple[int, ...]]
    missing: tuple[int, ...]
    gain: Difference | None = None
    teacher: Summary | None = None
    parameters: int | None = None
    macs: int | None = None
    rank: Literal["best", "open"] | None = None

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
        teacher_top1: of the teachers trained alone that the cells used.
        alone: the student trained alone, if there is a record of it.
        cells: by method.
        protocol_values: what the protocol asked of the student, in the latest record.
    """

    teacher: str
    student: str
    seeds: tuple[int, ...]
    teacher_top1: Summary | None
    alone: Cell | None
    cells: Mapping[str, Cell]
    protocol_values: Mapping[str, Any]


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
    """

    dataset: str
    protocol: str
    ranked: bool
    evaluated_on: str
    columns: tuple[Column, ...]
    networks: tuple[NetworkRow, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """Everything that a report shows.

    Attributes:
        tables: ranked protocols first within each data set.
        stale: number of records left out, by reason.
        unreadable: number of files left out, of records and of published numbers.
    """

    tables: tuple[Table, ...]
    stale: Mapping[str, int]
    unreadable: int


def aggregate(
    records: Iterable[Record], current: Current | None = None, *, unreadable: int = 0
) -> Board:
    """Bring records into tables.

    Args:
        records: in any order. Of two with one place the later one counts.
        current: what is not stale; None takes every record as it is.
        unreadable: number of files that could not be read, to be told to the reader.
    """
    known = sorted(records, key=lambda record: (record.finished, record.identity))
    stale = stale_records(known, current) if current else {}
    top1 = {r.identity: r.metrics.top1 for r in known if r.metrics}
    tables: dict[tuple[str, str], list[Record]] = defaultdict(list)
    imported = {r.identity: r for r in known if r.spec.recipe == IMPORTED}
    for record in known:
        if record.identity not in stale and record.identity not in imported:
            tables[record.spec.dataset, record.spec.protocol].append(record)
    for members in tables.values():
        # Weights that were brought belong to no protocol: they stand where they taught.
        roles = {role.identity for member in members for role in member.spec.roles.values()}
        members += [record for identity, record in imported.items() if identity in roles]
    made = [_table(members, top1) for members in tables.values()]
    return Board(
        tables=tuple(sorted(made, key=lambda t: (t.dataset, not t.ranked, t.protocol))),
        stale=dict(sorted(Counter(stale.values()).items())),
        unreadable=unreadable,
    )


def method_of(spec: RunSpec) -> str:
    """The label of a method: ``NAME``, ``NAME[key=value,…]``, with the variant behind it."""
    label = recipe_label(spec.recipe, spec.changed)
    return f"{label} ({spec.variant})" if spec.variant else label


def _table(records: Sequence[Record], top1: Mapping[str, float]) -> Table:
    taught: dict[tuple[str, str], list[Record]] = defaultdict(list)
    alone: dict[str, list[Record]] = defaultdict(list)
    steps: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        spec = record.spec
        if spec.seed >= DRAW:
            continue
        if "teacher" in spec.roles and not _is_control(spec):
            taught[spec.roles["teacher"].network, spec.network].append(record)
        else:
            (steps if spec.roles.keys() - {"teacher"} else alone)[spec.network].append(record)
    trained = [record for record in records if record.spec.recipe != IMPORTED]
    ranked = all(record.spec.ranked for record in trained)
    columns = [
        _column(pair, members, alone[pair[1]], top1=top1, ranked=ranked)
        for pair, members in sorted(taught.items())
    ]
    students = {student for _, student in taught}
    return Table(
        dataset=records[0].spec.dataset,
        protocol=records[0].spec.protocol,
        ranked=ranked,
        evaluated_on=_evaluated_on(records),
        columns=tuple(columns),
        networks=tuple(_networks(alone, steps, students)),
        notes=tuple(_notes(records)),
    )


def _is_control(spec: RunSpec) -> bool:
    """Whether a run has a teacher that is no pair's: one of its own network, or a fixed one."""
    return "teacher" in spec.roles and spec.pair is None


def _column(
    pair: tuple[str, str],
    taught: Sequence[Record],
    alone: Sequence[Record],
    *,
    top1: Mapping[str, float],
    ranked: bool,
) -> Column:
    # A method without a teacher, or with one of its own, competes in every pair of its student.
    baseline = [record for record in alone if method_of(record.spec) == ALONE]
    others = [
        record
        for record in alone
        if method_of(record.spec) != ALONE and record.spec.recipe != IMPORTED
    ]
    members = [*taught, *others]
    seeds = {record.spec.seed for record in members}
    reference = _cell(baseline, seeds) if baseline else None
    cells = {}
    for method, of_method in _by_method(members).items():
        cell = _cell(of_method, seeds)
        gain = paired(cell.by_seed, reference.by_seed) if reference else None
        cells[method] = replace(cell, gain=gain, teacher=_teachers(of_method, top1))
    if ranked:
        cells = _rank(cells)
    usual = [r for r in taught if r.spec.roles["teacher"].recipe == ALONE and not r.spec.variant]
    return Column(
        teacher=pair[0],
        student=pair[1],
        seeds=tuple(sorted(seeds)),
        teacher_top1=_teachers(usual or taught, top1),
        alone=reference,
        cells=cells,
        protocol_values=taught[-1].spec.protocol_values,
    )


def _cell(records: Sequence[Record], seeds: Iterable[int]) -> Cell:
    """Put the seeds of one method together; ``records`` are in the order of their time."""
    latest = {record.spec.seed: record for record in records}
    by_seed = {
        seed: record.metrics.top1 for seed, record in sorted(latest.items()) if record.metrics
    }
    failures: dict[str, tuple[int, ...]] = {}
    for seed, record in sorted(latest.items()):
        if record.status != "ok":
            failures[record.status] = (*failures.get(record.status, ()), seed)
    costs = [record.cost for record in latest.values() if record.cost]
    return Cell(
        method=method_of(records[0].spec),
        recipe=records[0].spec.recipe,
        top1=summarise(by_seed.values()),
        by_seed=by_seed,
        failures=dict(sorted(failures.items())),
        missing=tuple(sorted(set(seeds) - latest.keys())),
        parameters=costs[-1].parameters if costs else None,
        macs=costs[-1].macs if costs else None,
    )


def _rank(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Mark the best mean and what is not shown to be below it.

    Only cells with all seeds can be best: where seeds failed, the others are a favourable choice.
    """
    complete = [cell.top1.mean for cell in cells.values() if cell.complete and cell.top1]
    if not complete:
        return dict(cells)
    best = next(c for c in cells.values() if c.complete and c.top1 and c.top1.mean == max(complete))
    ranked = {}
    for method, cell in cells.items():
        lead = paired(best.by_seed, cell.by_seed)
        if cell.complete and cell.top1 and cell.top1.mean == max(complete):
            ranked[method] = replace(cell, rank="best")
        # With one seed nothing can be shown, and a mark on every cell would say nothing.
        elif (
            cell.top1 and len(best.by_seed) > 1 and (not lead or lead.low is None or lead.low <= 0)
        ):
            ranked[method] = replace(cell, rank="open")
        else:
            ranked[method] = cell
    return ranked


def _networks(
    alone: Mapping[str, Sequence[Record]],
    steps: Mapping[str, Sequence[Record]],
    students: Iterable[str],
) -> Iterable[NetworkRow]:
    students = set(students)
    for network in sorted(alone.keys() | steps.keys()):
        for method, records in _by_method(alone.get(network, ())).items():
            if method == ALONE or records[0].spec.recipe == IMPORTED or network not in students:
                yield NetworkRow(network, _cell(records, ()))
        by_roles: dict[str, list[Record]] = defaultdict(list)
        for record in steps.get(network, ()):
            roles = (f"{name} {role.network}" for name, role in sorted(record.spec.roles.items()))
            by_roles[f"{method_of(record.spec)}, {', '.join(roles)}"].append(record)
        for label, records in sorted(by_roles.items()):
            yield NetworkRow(network, replace(_cell(records, ()), method=label))


def _teachers(records: Iterable[Record], top1: Mapping[str, float]) -> Summary | None:
    roles = {r.spec.roles["teacher"].identity: r for r in records if "teacher" in r.spec.roles}
    # What the student's own record says of its teacher comes first: that one taught it.
    known = (
        top1.get(identity) if (told := r.spec.roles["teacher"].top1) is None else told
        for identity, r in sorted(roles.items())
    )
    return summarise(value for value in known if value is not None)


def _by_method(records: Iterable[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[method_of(record.spec)].append(record)
    return dict(sorted(groups.items()))


def _evaluated_on(records: Iterable[Record]) -> str:
    return " and ".join(sorted({r.metrics.evaluated_on for r in records if r.metrics})) or "test"


def _notes(records: Sequence[Record]) -> Iterable[str]:
    total = len(records)
    if dirty := sum(record.environment.git_dirty is True for record in records):
        yield f"{dirty} of {total} records come from a working tree with uncommitted changes."
    if spread := sum(record.environment.processes > 1 for record in records):
        yield f"{spread} of {total} records were trained by several processes."
    if half := sum(record.environment.precision == "bf16" for record in records):
        yield f"{half} of {total} records were trained in bf16."
    extra: dict[int, set[str]] = defaultdict(set)
    for record in records:
        if record.cost is not None and record.cost.extra_epochs:
            extra[record.cost.extra_epochs].add(record.spec.recipe)
    for epochs, recipes in sorted(extra.items()):
        yield f"A first stage of {epochs} more epochs: {', '.join(sorted(recipes))}."
    lengths = {
        canonical_json({k: v for k, v in record.spec.protocol_values.items() if k != "lr"})
        for record in records
        if record.spec.recipe != IMPORTED
    }
    if len(lengths) > 1:
        yield "The records were trained with different values of this protocol."
    sources: dict[str, set[str]] = defaultdict(set)
    for record in records:
        sources[record.spec.recipe].add(record.recipe_source)
    edited = sorted(recipe for recipe, files in sources.items() if len(files) > 1)
    if edited:
        yield f"The recipe's file changed between records of one version: {', '.join(edited)}."
