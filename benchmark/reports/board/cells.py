"""From the records of one method to a cell: which stand in one mean, what it gains, its rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from benchmark.records.canonical import recipe_label
from benchmark.records.schema import Record, RunSpec
from benchmark.reports.board.footnotes import notes_on_cell
from benchmark.reports.board.metrics import Metric
from benchmark.reports.board.provenance import Alike, Kinds, pairable
from benchmark.reports.board.statistics import Difference, Summary, paired, summarise
from benchmark.reports.board.tables import Cell


def method_of(spec: RunSpec) -> str:
    """The label of a method: ``NAME``, ``NAME[key=value,…]``, with the variant behind it."""
    label = recipe_label(spec.recipe, spec.changed)
    return f"{label} ({spec.variant})" if spec.variant else label


def by_method(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records by label, in its order."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[method_of(record.spec)].append(record)
    return dict(sorted(groups.items()))


def gain_of(cell: Cell, reference: Cell) -> Difference | None:
    """What a cell has more than another, over the seeds whose records can be compared."""
    mine, theirs = cell.by_seed, reference.by_seed
    seeds = [
        seed
        for seed in mine.keys() & theirs.keys()
        if pairable(cell.records[seed], reference.records[seed])
    ]
    return paired({seed: mine[seed] for seed in seeds}, {seed: theirs[seed] for seed in seeds})


@dataclass(frozen=True)
class Judge:
    """What all cells of a board have in common.

    Attributes:
        metric: of the board.
        scores: the metric of all records by identity, for the teachers.
        kinds: tells which records may stand in one mean.
    """

    metric: Metric
    scores: Mapping[str, float]
    kinds: Kinds

    def cell(self, alike: Alike, seeds: Iterable[int], method: str = "") -> Cell:
        """Put the seeds of one method together.

        Args:
            alike: records that may stand in one mean, in the order of their time.
            seeds: that a complete cell has.
            method: its label; empty for that of the records.
        """
        latest = {record.spec.seed: record for record in alike.records}
        spec = alike.records[0].spec
        label = method or method_of(spec)
        return Cell(
            method=f"{label} ({alike.mark})" if alike.mark else label,
            recipe=spec.recipe,
            metric=self.metric,
            records=dict(sorted(latest.items())),
            missing=tuple(sorted(set(seeds) - latest.keys())),
            mark=alike.mark,
            notes=notes_on_cell(list(latest.values()), self.kinds),
        )

    def teachers(self, records: Iterable[Record]) -> tuple[Summary | None, tuple[str, ...]]:
        """The score of the teachers of these records, and what a reader should know of it.

        Teachers that may not stand in one mean are not: those of one kind are averaged.
        """
        roles = {
            role.identity: role
            for record in records
            if (role := record.spec.roles.get("teacher")) is not None
        }
        known = [self.kinds.known[identity] for identity in roles if identity in self.kinds.known]
        parts = self.kinds.apart(known, self.kinds.whole)
        others = {record.identity for part in parts[1:] for record in part.records}
        # What the student's own record says of its teacher comes first: that one taught it.
        told = (
            self.scores.get(role.identity) if (said := self.metric.of_role(role)) is None else said
            for role in roles.values()
            if role.identity not in others
        )
        score = summarise(value for value in told if value is not None)
        if len(parts) < 2:
            return score, ()
        return score, (f"Of {len(parts)} kinds of teachers, the one with {parts[0].mark}.",)

    def ranked(self, cells: Mapping[str, Cell]) -> dict[str, Cell]:
        """Mark the best mean and what is not shown to be worse.

        Only cells with all seeds can be best: where seeds failed, the others are a favourable
        choice.
        """
        means = {
            name: self.metric.sign * score.mean
            for name, cell in cells.items()
            if (score := cell.score) and cell.complete
        }
        if not means:
            return dict(cells)
        best = cells[max(means, key=lambda name: means[name])]
        ranked = {}
        for name, cell in cells.items():
            if means.get(name) == max(means.values()):
                ranked[name] = replace(cell, rank="best")
            # With one seed nothing can be shown, and a mark on every cell would say nothing.
            elif cell.score and len(best.by_seed) > 1 and not self._is_shown(gain_of(best, cell)):
                ranked[name] = replace(cell, rank="open")
            else:
                ranked[name] = cell
        return ranked

    def _is_shown(self, lead: Difference | None) -> bool:
        """Whether the interval of the best method's lead leaves out that there is none."""
        if lead is None or lead.low is None or lead.high is None:
            return False
        return lead.low > 0 if self.metric.better == "higher" else lead.high < 0
