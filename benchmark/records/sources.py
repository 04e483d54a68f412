"""Which source of its recipe a record comes from: what may stand in one mean, and what is said.

Records of one recipe, version and settings have one identity, whatever the recipe's file said when
they were trained. Two sources may give different results, so their records are told apart until an
attestation says that they agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from benchmark.recipe.source import Source
from benchmark.records.attestations import Attestation, Attested
from benchmark.records.schema import Record


class Standing(StrEnum):
    """How a record's source stands to that of today."""

    today = "today"
    attested = "attested"
    changed = "changed"
    unknown = "unknown"


@dataclass(frozen=True)
class SourceGroup:
    """Records of one recipe and version with equal groups may stand in one mean.

    Attributes:
        standing: to the recipe as it is today; ``unknown`` if there is no such recipe, or if the
            record is of weights that were brought.
        key: tells the groups of a recipe apart; empty for what agrees with today's source.
        by: the attestations that lead from the record's source to today's.
    """

    standing: Standing
    key: str = ""
    by: tuple[Attestation, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Sources:
    """The recipes of today and what is attested of them.

    Attributes:
        today: source of every recipe by name; what is not in it is unknown.
        attested: the attestations of a store.
    """

    today: Mapping[str, Source] = field(default_factory=dict)
    attested: Attested = field(default_factory=Attested)
    _groups: dict[tuple[str, int, str], SourceGroup] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def group(self, record: Record) -> SourceGroup:
        """The group of a record."""
        return self.group_of(record.spec.recipe, record.spec.recipe_version, record.recipe_source)

    def group_of(self, recipe: str, version: int, recorded: str) -> SourceGroup:
        """The group of a recorded source.

        Args:
            recipe: of the record.
            version: of the record.
            recorded: its ``recipe_source``.
        """
        key = recipe, version, recorded
        if key not in self._groups:  # thousands of records come from a few sources
            self._groups[key] = self._found(recipe, version, recorded)
        return self._groups[key]

    def _found(self, recipe: str, version: int, recorded: str) -> SourceGroup:
        known = self.today.get(recipe)
        if known is not None and known.matches(recorded):
            return SourceGroup(Standing.today)
        if known is not None:
            names = (known.meaning, known.text)
            way = self.attested.between(recipe, version, recorded, names)
            if way is not None:
                return SourceGroup(Standing.attested, by=way)
        standing = Standing.unknown if known is None else Standing.changed
        return SourceGroup(standing, self.attested.representative(recipe, version, recorded))
