"""From records to the tables of a board: one cell per pair and method, over the seeds.

Only the last epoch enters, never the best one. Records that are not comparable are never in one
mean: they have columns, or rows, of their own. Nothing here depends on the order of the records.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from benchmark.records.schema import ALONE, DRAW, IMPORTED, Record, RunSpec
from benchmark.reports.board.cells import Judge, by_method, gain_of, method_of
from benchmark.reports.board.footnotes import shared
from benchmark.reports.board.metrics import TOP1, Metric
from benchmark.reports.board.notes import notes_on
from benchmark.reports.board.provenance import (
    Alike,
    Kinds,
    OriginOf,
    evaluated_on,
    recorded,
)
from benchmark.reports.board.staleness import Current, stale_records
from benchmark.reports.board.tables import Board, Cell, Column, NetworkRow, Table

__all__ = ["aggregate", "method_of"]


def aggregate(
    records: Iterable[Record],
    current: Current | None = None,
    *,
    metric: Metric = TOP1,
    unreadable: int = 0,
    damaged: Sequence[str] = (),
    beside: Sequence[str] = (),
    origin: OriginOf = recorded,
) -> Board:
    """Bring records into tables.

    Args:
        records: in any order. Of two with one place the later one counts.
        current: what is not stale; None takes every record as it is.
        metric: what is averaged, compared and ranked.
        unreadable: number of files that could not be read, to be told to the reader.
        damaged: their names, as far as they are known.
        beside: names of other files of the folder that cannot be trusted.
        origin: which source of its recipe a record comes from.
    """
    known = sorted(records, key=lambda record: (record.finished, record.identity))
    stale = stale_records(known, current) if current else {}
    scores = {r.identity: score for r in known if (score := metric.of(r)) is not None}
    judge = Judge(metric, scores, Kinds(known, origin))
    tables: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    imported = {r.identity: r for r in known if r.spec.recipe == IMPORTED}
    for record in known:
        if record.identity not in stale and record.identity not in imported:
            spec = record.spec
            tables[spec.dataset, spec.protocol, evaluated_on(record)].append(record)
    for members in tables.values():
        # Weights that were brought belong to no protocol: they stand where they taught.
        roles = {role.identity for member in members for role in member.spec.roles.values()}
        members += [record for identity, record in imported.items() if identity in roles]
    made = [_table(members, judge) for members in tables.values()]
    return Board(
        tables=tuple(
            sorted(made, key=lambda t: (t.dataset, not t.ranked, t.protocol, t.evaluated_on))
        ),
        stale=dict(sorted(Counter(stale.values()).items())),
        unreadable=max(unreadable, len(damaged)),
        damaged=tuple(damaged),
        beside=tuple(beside),
        metric=metric,
    )


def _table(records: Sequence[Record], judge: Judge) -> Table:
    """One table.

    Args:
        records: that stand in it, in the order of their time.
        judge: of the board.
    """
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
        column
        for pair, members in sorted(taught.items())
        for column in _columns(pair, members, alone[pair[1]], judge=judge, ranked=ranked)
    ]
    students = {student for _, student in taught}
    networks = tuple(_networks(alone, steps, students, judge))
    few, many = shared(_noted(columns, networks))
    return Table(
        dataset=records[0].spec.dataset,
        protocol=records[0].spec.protocol,
        ranked=ranked,
        evaluated_on=evaluated_on(records[0]),
        columns=tuple(columns),
        networks=networks,
        notes=(*notes_on(records, judge.kinds.origin), *many),
        footnotes=few,
        metric=judge.metric,
    )


def _is_control(spec: RunSpec) -> bool:
    """Whether a run has a teacher that is no pair's: one of its own network, or a fixed one."""
    return "teacher" in spec.roles and spec.pair is None


def _columns(
    pair: tuple[str, str],
    taught: Sequence[Record],
    alone: Sequence[Record],
    *,
    judge: Judge,
    ranked: bool,
) -> Iterator[Column]:
    """The columns of a pair: one, unless its records were not trained under equal conditions."""
    # A method without a teacher, or with one of its own, competes in every pair of its student.
    known = [*taught, *(record for record in alone if record.spec.recipe != IMPORTED)]
    for alike in judge.kinds.apart(known, judge.kinds.setting):
        if any(method_of(record.spec) != ALONE for record in alike.records):
            yield _column(pair, alike, judge=judge, ranked=ranked)


def _column(pair: tuple[str, str], alike: Alike, *, judge: Judge, ranked: bool) -> Column:
    methods = by_method(alike.records)
    baseline = methods.pop(ALONE, [])
    members = [record for of_method in methods.values() for record in of_method]
    seeds = {record.spec.seed for record in members}
    reference = _alone(baseline, seeds, judge) if baseline else None
    cells = {}
    for of_method in methods.values():
        for part in judge.kinds.apart(of_method, judge.kinds.method):
            cell = judge.cell(part, seeds)
            gain = gain_of(cell, reference) if reference else None
            teacher, _ = judge.teachers(part.records)
            cells[cell.method] = replace(cell, gain=gain, teacher=teacher)
    with_teacher = [r for r in members if "teacher" in r.spec.roles and not _is_control(r.spec)]
    usual = [
        r for r in with_teacher if r.spec.roles["teacher"].recipe == ALONE and not r.spec.variant
    ]
    teacher_score, teacher_notes = judge.teachers(usual or with_teacher)
    return Column(
        teacher=pair[0],
        student=pair[1],
        seeds=tuple(sorted(seeds)),
        teacher_score=teacher_score,
        alone=reference,
        cells=judge.ranked(cells) if ranked else cells,
        protocol_values=(with_teacher or members)[-1].spec.protocol_values,
        mark=alike.mark,
        teacher_notes=teacher_notes,
    )


def _alone(baseline: Sequence[Record], seeds: Iterable[int], judge: Judge) -> Cell:
    """The student trained alone; of several kinds the one with the most records."""
    part, *others = judge.kinds.apart(baseline, judge.kinds.method)
    cell = judge.cell(part, seeds)
    if not others:
        return cell
    note = f"Of {len(others) + 1} kinds of the student alone, the one with {part.mark}."
    return replace(cell, notes=(note, *cell.notes))


def _networks(
    alone: Mapping[str, Sequence[Record]],
    steps: Mapping[str, Sequence[Record]],
    students: set[str],
    judge: Judge,
) -> Iterable[NetworkRow]:
    for network in sorted(alone.keys() | steps.keys()):
        for method, records in by_method(alone.get(network, ())).items():
            if method == ALONE or records[0].spec.recipe == IMPORTED or network not in students:
                yield from _rows(network, records, judge)
        by_roles: dict[str, list[Record]] = defaultdict(list)
        for record in steps.get(network, ()):
            roles = (f"{name} {role.network}" for name, role in sorted(record.spec.roles.items()))
            by_roles[f"{method_of(record.spec)}, {', '.join(roles)}"].append(record)
        for label, records in sorted(by_roles.items()):
            yield from _rows(network, records, judge, label)


def _rows(
    network: str, records: Sequence[Record], judge: Judge, label: str = ""
) -> Iterable[NetworkRow]:
    for part in judge.kinds.apart(records, judge.kinds.whole):
        yield NetworkRow(network, judge.cell(part, (), label))


def _noted(columns: Iterable[Column], networks: Iterable[NetworkRow]) -> Iterable[Sequence[str]]:
    """The notes of every row of a table."""
    for column in columns:
        yield column.teacher_notes
        for cell in (column.alone, *column.cells.values()):
            yield cell.notes if cell else ()
    for row in networks:
        yield row.cell.notes
