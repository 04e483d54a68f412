"""Numbers that others report beside ours: which belong together, and what differs between them.

Like is compared with like. Ours is the accuracy of the last epoch, so only a reported last-epoch
accuracy gets a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.records.canonical import equal, in_words
from benchmark.records.reported import RULES, STUDENT, TEACHER, Reported, ReportedNumber
from benchmark.reports.board.metrics import TOP1
from benchmark.reports.board.statistics import Summary
from benchmark.reports.board.tables import Board, Cell, Column, Table


@dataclass(frozen=True)
class Row:
    """One reported number and ours.

    Attributes:
        method: ``teacher``, ``student`` or a recipe's label.
        source: where it was reported; its ``epoch_rule`` says which accuracy it is.
        number: what was reported.
        ours: the cell of the same label, a summary for the teacher, or None without a record.
        differing: what is different in the two trainings, in words; empty if nothing known is.
    """

    method: str
    source: Reported
    number: ReportedNumber
    ours: Cell | Summary | None
    differing: tuple[str, ...]

    @property
    def summary(self) -> Summary | None:
        """Our accuracy over the seeds."""
        return self.ours.score if isinstance(self.ours, Cell) else self.ours

    @property
    def difference(self) -> float | None:
        """Ours minus the reported one, in points; None unless both are of the last epoch."""
        if self.source.epoch_rule != "last" or self.summary is None:
            return None
        return self.summary.mean - self.number.top1


@dataclass(frozen=True)
class Comparison:
    """A pair under one protocol of ours, beside what was reported for it.

    Attributes:
        table, column: ours.
        rows: teacher and student first, then the methods by name; a method's sources by rule.
    """

    table: Table
    column: Column
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Remainder:
    """The pairs of a source that ours lacks."""

    source: Reported
    pairs: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """All that was reported for one data set.

    Attributes:
        sources: by rule, those with the most numbers first.
        comparisons: of pairs that ours has as well.
        rest: pairs that ours lacks, by source.
    """

    dataset: str
    sources: tuple[Reported, ...]
    comparisons: tuple[Comparison, ...]
    rest: tuple[Remainder, ...]


def compare(board: Board, reported: Sequence[Reported]) -> tuple[Section, ...]:
    """Put what was reported beside ours; nothing if ours is another metric than top-1.

    Ours is what was evaluated on the test set. A pair that was trained under ranked protocols is
    compared under these alone: a short training beside them would say nothing more.

    Args:
        board: ours.
        reported: the numbers of others, in any order.
    """
    if board.metric != TOP1:
        return ()
    reported = sorted(reported, key=_place)
    datasets = sorted({source.dataset for source in reported})
    return tuple(
        _section(board, dataset, [source for source in reported if source.dataset == dataset])
        for dataset in datasets
    )


def _place(source: Reported) -> tuple[str, int, int, str]:
    size = sum(map(len, source.top1.values()))
    return source.dataset, RULES.index(source.epoch_rule), -size, source.name


def _section(board: Board, dataset: str, sources: Sequence[Reported]) -> Section:
    wanted = {pair for source in sources for pair in source.top1}
    ours: dict[str, list[tuple[Table, Column]]] = {}
    for table in board.tables:
        if table.dataset == dataset and table.evaluated_on == "test":
            for column in table.columns:
                pair = f"{column.teacher}:{column.student}"
                if pair in wanted:
                    ours.setdefault(pair, []).append((table, column))
    comparisons = [
        _comparison(table, column, sources)
        for _, found in sorted(ours.items())
        for table, column in found
        if table.ranked or not any(other.ranked for other, _ in found)
    ]
    return Section(
        dataset=dataset,
        sources=tuple(sources),
        comparisons=tuple(comparisons),
        rest=tuple(
            Remainder(source, pairs)
            for source in sources
            if (pairs := tuple(pair for pair in source.top1 if pair not in ours))
        ),
    )


def _comparison(table: Table, column: Column, sources: Sequence[Reported]) -> Comparison:
    pair = f"{column.teacher}:{column.student}"
    rows = [
        Row(method, source, number, _ours(column, method), differing)
        for source in sources
        for differing in [tuple(_differing(column, source))]
        for method, number in source.top1.get(pair, {}).items()
    ]
    first = {TEACHER: 0, STUDENT: 1}
    # A stable sort: the sources of a method stay in their order, by rule.
    rows.sort(key=lambda row: (first.get(row.method, 2), row.method))
    return Comparison(table, column, tuple(rows))


def _ours(column: Column, method: str) -> Cell | Summary | None:
    if method == TEACHER:
        return column.teacher_score
    return column.alone if method == STUDENT else column.cells.get(method)


def _differing(column: Column, source: Reported) -> Iterable[str]:
    theirs, ours = source.protocol.values_for(column.student), column.protocol_values
    if "epochs" not in theirs:
        yield "its epochs are not known"
    for name, value in theirs.items():
        # Milestones say nothing about a training whose schedule has none: the schedule is named.
        if name in ours and not equal(ours[name], value):
            yield f"{name} {in_words(ours[name])} instead of {in_words(value)}"
