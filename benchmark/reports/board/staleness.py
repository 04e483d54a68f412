"""Which records no longer say what the code and the cards of today would give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.records.canonical import equal
from benchmark.records.schema import Record, RunSpec

ProtocolValues = Callable[[RunSpec], Mapping[str, Any] | None]


def _unknown(spec: RunSpec) -> None:
    return None


@dataclass(frozen=True)
class Current:
    """What the code and the cards say today. What they do not know is never stale.

    Attributes:
        recipe_versions: by name of the recipe.
        data_revisions: by name of the data set.
        protocol_values: what the protocol of a run now asks of its network, or None if the card
            does not say.
    """

    recipe_versions: Mapping[str, int] = field(default_factory=dict)
    data_revisions: Mapping[str, str] = field(default_factory=dict)
    protocol_values: ProtocolValues = _unknown

    def reason(self, spec: RunSpec) -> str | None:
        """Why a run is stale by itself, or None."""
        if spec.recipe_version != self.recipe_versions.get(spec.recipe, spec.recipe_version):
            return "recipe version"
        if spec.data_revision != self.data_revisions.get(spec.dataset, spec.data_revision):
            return "data revision"
        values = self.protocol_values(spec)
        if values is not None and not equal(values, spec.protocol_values):
            return "protocol"
        return None


def stale_records(records: Iterable[Record], current: Current) -> dict[str, str]:
    """The reason by identity of every stale record.

    A run is also stale if one that it builds on is, or was replaced: its record is gone while the
    same network, trained in the same way on the same data, has another one. (Imported checkpoints
    need no record.)
    """
    known = {record.identity: record for record in records}
    stale = {
        identity: reason
        for identity, record in known.items()
        if (reason := current.reason(record.spec))
    }
    standing = {
        (r.spec.dataset, r.spec.protocol, r.spec.seed, r.spec.network, r.spec.recipe)
        for r in known.values()
    }
    # Students stand on teachers that may stand on others: repeat until nothing is added.
    while True:
        added = {
            identity: "a run that it builds on"
            for identity, record in known.items()
            if identity not in stale
            for role in record.spec.roles.values()
            if role.identity in stale
            or (
                role.identity not in known
                and not record.spec.variant
                and (
                    record.spec.dataset,
                    record.spec.protocol,
                    record.spec.seed,
                    role.network,
                    role.recipe,
                )
                in standing
            )
        }
        if not added:
            return stale
        stale |= added
