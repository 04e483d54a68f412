"""The numbers of others on the leaderboard's page: every epoch rule has a column of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.records.reported import RULES, STUDENT, TEACHER, EpochRule, Reported, ReportedNumber
from benchmark.reports.board.comparison import Comparison, Row, Section
from benchmark.reports.board.statistics import Summary
from benchmark.reports.escape import markdown as escape
from benchmark.reports.escape import markdown_link
from benchmark.reports.wording import numbers as wording
from benchmark.reports.wording.markdown import grid

COLUMNS: dict[EpochRule, str] = {
    "last": "last epoch",
    "best": "best on test",
    "unknown": "rule not known",
}
OTHER = "‡"  # another protocol

INTRODUCTION = """\
Published top-1 accuracies in percent, for reference: nothing here was measured with this code but
the columns named *ours*. *Last epoch*, *best on test* (the best epoch, chosen on the test set) and
*rule not known* (the source does not say which) are different measures and stand apart.
"""
BESIDE_OURS = """\
*Difference* is ours minus the published number, in points, and is given for last-epoch numbers
alone: ours is one. **‡**: trained under another protocol, so the difference does not say whether a
number was reproduced.
"""


def markdown(section: Section) -> Iterable[str]:
    """The section of one data set: pairs that ours has, the other pairs, and the sources."""
    yield f"## {escape(section.dataset)}, numbers published by others\n"
    yield INTRODUCTION
    if section.comparisons:
        yield BESIDE_OURS
    for comparison in section.comparisons:
        yield from _beside_ours(comparison)
    if section.rest:
        yield "There is no record of ours yet of the pairs that follow.\n"
    for remainder in section.rest:
        source = remainder.source
        yield f"### {escape(source.name)}, {COLUMNS[source.epoch_rule]}\n"
        yield _alone(source, remainder.pairs)
    yield "### Sources\n"
    yield "".join(f"{line}\n" for line in _sources(section))


def _beside_ours(comparison: Comparison) -> Iterable[str]:
    column, table = comparison.column, comparison.table
    unusual = "" if table.ranked else " (not ranked)"
    ours = escape(f"{wording.pair(column)}, ours: protocol {table.protocol}{unusual}")
    yield f"### {ours}\n"
    rules = [
        rule for rule in RULES if any(row.source.epoch_rule == rule for row in comparison.rows)
    ]
    rows = [["", *(COLUMNS[rule] for rule in rules), "source", "ours", "difference"]]
    for row in comparison.rows:
        theirs = [
            _number(row.number) if rule == row.source.epoch_rule else wording.NOTHING
            for rule in rules
        ]
        names = escape(row.method), escape(row.source.name)
        rows.append([names[0], *theirs, names[1], _ours(row), _difference(row)])
    yield grid(rows)
    differing = {row.source.name: row.differing for row in comparison.rows if _is_marked(row)}
    if differing:
        notes = (f"{OTHER} {name}: {', '.join(words)}." for name, words in differing.items())
        yield "".join(f"* {escape(note)}\n" for note in notes)


def _ours(row: Row) -> str:
    if isinstance(row.ours, Summary):
        return wording.teacher(row.ours)
    return wording.score(row.ours)


def _difference(row: Row) -> str:
    if row.difference is None:
        return wording.NOTHING
    return f"{row.difference:+.2f}" + (f" {OTHER}" if _is_marked(row) else "")


def _is_marked(row: Row) -> bool:
    return row.difference is not None and bool(row.differing)


def _alone(source: Reported, pairs: Sequence[str]) -> str:
    """A source's numbers, lying the way in which the table is the narrower."""
    methods = {method: None for pair in pairs for method in source.top1[pair]}
    first = [method for method in (TEACHER, STUDENT) if method in methods]
    methods = dict.fromkeys([*first, *methods])
    rows = [["", *map(escape, methods)]]
    for pair in pairs:
        numbers = source.top1[pair]
        cells = [_number(numbers[m]) if m in numbers else wording.NOTHING for m in methods]
        rows.append([escape(pair.replace(":", " → ")), *cells])
    lying = grid(rows), grid([list(row) for row in zip(*rows, strict=True)])
    return min(lying, key=lambda text: text.index("\n"))


def _number(number: ReportedNumber) -> str:
    return f"{number.top1:.2f}" + ("" if number.std is None else f" ± {number.std:.2f}")


def _sources(section: Section) -> Iterable[str]:
    for source in section.sources:
        rule = COLUMNS[source.epoch_rule]
        facts = [f"{rule} ({_said(source.rule_from)})" if source.rule_from else rule]
        if source.runs:
            facts.append(f"mean of {source.runs} runs")
        epochs = source.protocol.epochs
        facts.append(f"{epochs} epochs" if epochs else "epochs not known")
        if source.note:
            facts.append(escape(source.note))
        where = markdown_link(source.title, source.url)
        yield f"* **{escape(source.name)}**: {where}; {'; '.join(facts)}."
        for pair, numbers in source.top1.items():
            for method, number in numbers.items():
                if number.note:
                    note = f"{pair.replace(':', ' → ')}, {method}: {number.note}."
                    yield f"  * {escape(note)}"


def _said(where: str) -> str:
    """A link to where the rule is said, or the words for the place if it is not of the web."""
    link = markdown_link("where that is said", where)
    return link if link.startswith("[") else escape(where)
