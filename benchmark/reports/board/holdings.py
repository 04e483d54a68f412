"""What a folder of results holds, whoever asked for it: how many records, in which state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.records.canonical import recipe_label
from benchmark.records.places import place_of
from benchmark.records.schema import Record, RunSpec
from benchmark.records.sources import Standing
from benchmark.reports.board.provenance import OriginOf
from benchmark.reports.board.staleness import Current, stale_records

# As 'kdbench status' counts the cells of a choice. What nobody asked for here is not missing.
STATES = ("done", "failed", "stale", "changed", "damaged", "missing")


@dataclass
class Holding:
    """The records of one network or pair with one recipe, under one protocol.

    Attributes:
        states: how many are in each state.
        reasons: why some are not done.
        newest: of them.
        machines: how many each machine made.
    """

    newest: Record
    states: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)
    machines: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """As plain data: the keys of a row of coverage, and more."""
        spec = self.newest.spec
        return {
            "dataset": spec.dataset,
            "protocol": spec.protocol,
            "pair": _networks(spec),
            "recipe": recipe_label(spec.recipe, spec.changed),
            **{state: self.states[state] for state in STATES},
            "reasons": sorted(self.reasons),
            "newest": self.newest.finished,
            "newest_cell": place_of(spec).with_suffix("").as_posix(),
            "machines": dict(self.machines.most_common()),
        }


def holdings(
    records: Iterable[Record], current: Current, origin: OriginOf
) -> list[Mapping[str, Any]]:
    """All records by data set, protocol, network or pair, and recipe, as plain data.

    Args:
        records: of one folder.
        current: what recipes and cards say today.
        origin: how the source of a record's recipe stands to that of today.
    """
    records = list(records)
    stale = stale_records(records, current)
    found: dict[tuple[str, ...], Holding] = {}
    for record in records:
        spec = record.spec
        label = recipe_label(spec.recipe, spec.changed)
        key = (spec.dataset, spec.protocol, _networks(spec), label, spec.variant)
        holding = found.setdefault(key, Holding(record))
        state, reason = _state(record, stale, origin)
        holding.states[state] += 1
        holding.reasons |= {reason} if reason else set()
        holding.machines[record.environment.machine] += 1
        if record.finished > holding.newest.finished:
            holding.newest = record
    return [holding.as_json() for _, holding in sorted(found.items())]


def _networks(spec: RunSpec) -> str:
    """The pair of a run that builds on others, else its network."""
    return (spec.pair if spec.roles else None) or spec.network


def _state(record: Record, stale: Mapping[str, str], origin: OriginOf) -> tuple[str, str]:
    """The state in one word, and why it is not done."""
    if reason := stale.get(record.identity):
        return "stale", reason
    if record.status != "ok":
        message = record.error.message.partition("\n")[0] if record.error else ""
        return "failed", f"{record.status}: {message:.200}"
    if origin(record).standing is Standing.changed:
        return "changed", f"recorded with another source of {record.spec.recipe}"
    return "done", ""
