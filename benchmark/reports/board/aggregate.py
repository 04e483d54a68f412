"""From records to the tables of a board: one cell per pair and method, over the seeds.

Only the last epoch enters, never the best one. Nothing here depends on the order of the records.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from benchmark.records.canonical import recipe_label
from benchmark.records.schema import ALONE, DRAW, IMPORTED, Record, RunSpec
from benchmark.reports.board.metrics import TOP1, Metric
from benchmark.reports.board.notes import notes_on
from benchmark.reports.board.staleness import Current, stale_records
from benchmark.reports.board.statistics import Difference, Summary, paired, summarise
from benchmark.reports.board.tables import Board, Cell, Column, NetworkRow, Table


def aggregate(
    records: Iterable[Record],
    current: Current | None = None,
    *,
    metric: Metric = TOP1,
    unreadable: int = 0,
) -> Board:
    """Bring records into tables.

    Args:
        records: in any order. Of two with one place the later one counts.
        current: what is not stale; None takes every record as it is.
        metric: what is averaged, compared and ranked.
        unreadable: number of files that could not be read, to be told to the reader.
    """
    known = sorted(records, key=lambda record: (record.finished, record.identity))
    stale = stale_records(known, current) if current else {}
    scores = {r.identity: score for r in known if (score := metric.of(r)) is not None}
    tables: dict[tuple[str, str], list[Record]] = defaultdict(list)
    imported = {r.identity: r for r in known if r.spec.recipe == IMPORTED}
    for record in known:
        if record.identity not in stale and record.identity not in imported:
            tables[record.spec.dataset, record.spec.protocol].append(record)
    for members in tables.values():
        # Weights that were brought belong to no protocol: they stand where they taught.
        roles = {role.identity for member in members for role in member.spec.roles.values()}
        members += [record for identity, record in imported.items() if identity in roles]
    made = [_table(members, metric, scores) for members in tables.values()]
    return Board(
        tables=tuple(sorted(made, key=lambda t: (t.dataset, not t.ranked, t.protocol))),
        stale=dict(sorted(Counter(stale.values()).items())),
        unreadable=unreadable,
        metric=metric,
    )


def method_of(spec: RunSpec) -> str:
    """The label of a method: ``NAME``, ``NAME[key=value,…]``, with the variant behind it."""
    label = recipe_label(spec.recipe, spec.changed)
    return f"{label} ({spec.variant})" if spec.variant else label


def _table(records: Sequence[Record], metric: Metric, scores: Mapping[str, float]) -> Table:
    """One table.

    Args:
        records: that stand in it, in the order of their time.
        metric: of the board.
        scores: the metric of all records by identity, for the teachers.
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
        _column(pair, members, alone[pair[1]], metric=metric, scores=scores, ranked=ranked)
        for pair, members in sorted(taught.items())
    ]
    students = {student for _, student in taught}
    return Table(
        dataset=records[0].spec.dataset,
        protocol=records[0].spec.protocol,
        ranked=ranked,
        evaluated_on=_evaluated_on(records),
        columns=tuple(columns),
        networks=tuple(_networks(alone, steps, students, metric)),
        notes=tuple(notes_on(records)),
        metric=metric,
    )


def _is_control(spec: RunSpec) -> bool:
    """Whether a run has a teacher that is no pair's: one of its own network, or a fixed one."""
    return "teacher" in spec.roles and spec.pair is None


def _column(
    pair: tuple[str, str],
    taught: Sequence[Record],
    alone: Sequence[Record],
    *,
    metric: Metric,
    scores: Mapping[str, float],
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
    reference = _cell(baseline, seeds, metric) if baseline else None
    cells = {}
    for method, of_method in _by_method(members).items():
        cell = _cell(of_method, seeds, metric)
        gain = paired(cell.by_seed, reference.by_seed) if reference else None
        cells[method] = replace(cell, gain=gain, teacher=_teachers(of_method, metric, scores))
    if ranked:
        cells = _rank(cells, metric)
    usual = [r for r in taught if r.spec.roles["teacher"].recipe == ALONE and not r.spec.variant]
    return Column(
        teacher=pair[0],
        student=pair[1],
        seeds=tuple(sorted(seeds)),
        teacher_score=_teachers(usual or taught, metric, scores),
        alone=reference,
        cells=cells,
        protocol_values=taught[-1].spec.protocol_values,
    )


def _cell(records: Sequence[Record], seeds: Iterable[int], metric: Metric) -> Cell:
    """Put the seeds of one method together; ``records`` are in the order of their time."""
    latest = {record.spec.seed: record for record in records}
    return Cell(
        method=method_of(records[0].spec),
        recipe=records[0].spec.recipe,
        metric=metric,
        records=dict(sorted(latest.items())),
        missing=tuple(sorted(set(seeds) - latest.keys())),
    )


def _rank(cells: Mapping[str, Cell], metric: Metric) -> dict[str, Cell]:
    """Mark the best mean and what is not shown to be worse.

    Only cells with all seeds can be best: where seeds failed, the others are a favourable choice.
    """
    scores = {name: cell.score for name, cell in cells.items()}
    means = {
        name: metric.sign * score.mean
        for name, score in scores.items()
        if score and cells[name].complete
    }
    if not means:
        return dict(cells)
    best = cells[max(means, key=lambda name: means[name])].by_seed
    ranked = {}
    for name, cell in cells.items():
        lead = paired(best, cell.by_seed)
        if means.get(name) == max(means.values()):
            ranked[name] = replace(cell, rank="best")
        # With one seed nothing can be shown, and a mark on every cell would say nothing.
        elif scores[name] and len(best) > 1 and not _is_shown(lead, metric):
            ranked[name] = replace(cell, rank="open")
        else:
            ranked[name] = cell
    return ranked


def _is_shown(lead: Difference | None, metric: Metric) -> bool:
    """Whether the interval of the best method's lead leaves out that there is none."""
    if lead is None or lead.low is None or lead.high is None:
        return False
    return lead.low > 0 if metric.better == "higher" else lead.high < 0


def _networks(
    alone: Mapping[str, Sequence[Record]],
    steps: Mapping[str, Sequence[Record]],
    students: set[str],
    metric: Metric,
) -> Iterable[NetworkRow]:
    for network in sorted(alone.keys() | steps.keys()):
        for method, records in _by_method(alone.get(network, ())).items():
            if method == ALONE or records[0].spec.recipe == IMPORTED or network not in students:
                yield NetworkRow(network, _cell(records, (), metric))
        by_roles: dict[str, list[Record]] = defaultdict(list)
        for record in steps.get(network, ()):
            roles = (f"{name} {role.network}" for name, role in sorted(record.spec.roles.items()))
            by_roles[f"{method_of(record.spec)}, {', '.join(roles)}"].append(record)
        for label, records in sorted(by_roles.items()):
            yield NetworkRow(network, replace(_cell(records, (), metric), method=label))


def _teachers(
    records: Iterable[Record], metric: Metric, scores: Mapping[str, float]
) -> Summary | None:
    roles = (r.spec.roles["teacher"] for r in records if "teacher" in r.spec.roles)
    # What the student's own record says of its teacher comes first: that one taught it.
    known = (
        scores.get(role.identity) if (told := metric.of_role(role)) is None else told
        for role in {role.identity: role for role in roles}.values()
    )
    return summarise(value for value in known if value is not None)


def _by_method(records: Iterable[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[method_of(record.spec)].append(record)
    return dict(sorted(groups.items()))


def _evaluated_on(records: Iterable[Record]) -> str:
    return " and ".join(sorted({r.metrics.evaluated_on for r in records if r.metrics})) or "test"
