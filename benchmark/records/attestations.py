"""Attestations: that another source of a recipe gives the results of the recorded one.

``kdbench verify`` trains a recorded run again, and where the results agree it writes one file,
``attested/RECIPE/OLD-NEW.json`` beside the folders of the data sets. It holds for every record of
that recipe and version with the old source, whatever its data set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from benchmark.records.bounds import Amount, Count, Identity, Name, SourceDigest, Words
from benchmark.records.places import ATTESTED, spelled
from benchmark.records.schema import Environment, Record
from benchmark.strict import Strict

By = Literal["record", "engine"]
Agreement = Literal["bit for bit", "within the spread of the seeds", "within a tolerance"]


class Compared(Strict):
    """One metric of the record, or of the old source, and of the run that was trained again.

    Attributes:
        recorded, again: the two values, to six significant digits.
        tolerance: how far apart they may be.
    """

    recorded: float
    again: float
    tolerance: Amount

    @property
    def agrees(self) -> bool:
        """Whether the two are as near as they must be."""
        return abs(self.recorded - self.again) <= self.tolerance


class Attestation(Strict):
    """That two sources of a recipe agree, and what shows it.

    Attributes:
        schema_version: of this file.
        recipe, recipe_version: whose sources they are.
        old, new: the source of records, and that of the time of the attestation.
        by: ``record``: the new source was trained as the record was, and compared with it.
            ``engine``: both sources were trained by one engine and compared with each other, which
            tells a change of the recipe from one of the engine.
        cell: the run that was trained again, as ``kdbench show`` takes it.
        identity: of its run.
        protocol: under which was trained.
        agreement: how near the results are.
        metrics: what was compared, by name.
        environment: where it was trained again.
        finished: UTC time, ISO 8601.
        checksum: sha256 of everything else; set by the store when it writes.
    """

    schema_version: Literal[1] = 1
    recipe: Name
    recipe_version: Count
    old: SourceDigest
    new: SourceDigest
    by: By
    cell: Words
    identity: Identity
    protocol: Words
    agreement: Agreement
    metrics: dict[Name, Compared] = Field(min_length=1, max_length=100)
    environment: Environment
    finished: Words
    checksum: Identity | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Attestation:
        if self.old == self.new:
            raise ValueError("'old' and 'new' are one source, of which there is nothing to attest")
        if "top1" not in self.metrics:
            raise ValueError("'metrics' lacks top1")
        if PurePath(self.cell).is_absolute() or ".." in PurePath(self.cell).parts:
            raise ValueError(f"'{self.cell}' is no place in a folder of results")
        if self.by == "engine" and self.agreement != "bit for bit":
            raise ValueError("by one engine sources agree bit for bit or not at all")
        for name, compared in self.metrics.items():
            if not compared.agrees:
                raise ValueError(f"{name} does not agree: {compared.recorded}, {compared.again}")
            if self.agreement == "bit for bit" and compared.recorded != compared.again:
                raise ValueError(f"{name} does not agree bit for bit")
        return self

    @property
    def shown(self) -> str:
        """In a few words, how it is known: ``bit for bit (CELL)``."""
        how = f", both trained by one engine under {self.protocol}" if self.by == "engine" else ""
        return f"{self.agreement} ({self.cell}{how})"

    @property
    def place(self) -> PurePath:
        """Where it lies below the folder of results."""
        old, new = (digest.rpartition(":")[2][:12] for digest in (self.old, self.new))
        return PurePath(ATTESTED, spelled(self.recipe), f"{old}-{new}.json")


@dataclass(frozen=True)
class Attested:
    """All attestations of a store; sources that they join give equal results."""

    attestations: tuple[Attestation, ...] = ()

    def between(
        self, recipe: str, version: int, one: str, others: Iterable[str]
    ) -> tuple[Attestation, ...] | None:
        """The attestations that lead from one source to the nearest of others, in their order.

        Returns:
            None if none lead there; nothing if it is one of them.
        """
        wanted = set(others)
        for source, way in self._reachable(recipe, version, one):
            if source in wanted:
                return way
        return None

    def representative(self, recipe: str, version: int, source: str) -> str:
        """One source for all that are joined with this one: the first in the alphabet."""
        return min(reached for reached, _ in self._reachable(recipe, version, source))

    def _reachable(
        self, recipe: str, version: int, source: str
    ) -> Iterator[tuple[str, tuple[Attestation, ...]]]:
        """Sources joined with one, the nearest first, each with the way to it."""
        edges: dict[str, list[tuple[str, Attestation]]] = {}
        for one in self.attestations:
            if (one.recipe, one.recipe_version) == (recipe, version):
                # What agrees, agrees in both directions: an edit may be taken back.
                edges.setdefault(one.old, []).append((one.new, one))
                edges.setdefault(one.new, []).append((one.old, one))
        ways: dict[str, tuple[Attestation, ...]] = {source: ()}
        waiting = deque([source])
        while waiting:
            here = waiting.popleft()
            yield here, ways[here]
            for there, by in edges.get(here, ()):
                if there not in ways:
                    ways[there] = (*ways[here], by)
                    waiting.append(there)


def contradiction(one: Attestation, record: Record) -> str | None:
    """Where an attestation says something else of a record than the record itself.

    Returns:
        None if nowhere, if it compares no record, or if a later record stands in the place of the
        one that it speaks of.
    """
    if one.by == "engine" or record.identity != one.identity or record.recipe_source != one.old:
        return None
    values = measured(record)
    for name, compared in one.metrics.items():
        if values.get(name) != compared.recorded:
            return f"{name} of {one.cell} is {values.get(name)}, not {compared.recorded}"
    return None


def measured(record: Record) -> dict[str, float]:
    """The numbers of a record that a second training must give again, by name."""
    if record.metrics is None:
        return {}
    values = record.metrics.model_dump(exclude_none=True, exclude={"evaluated_on", "images"})
    if record.diagnostics is not None:
        values |= record.diagnostics.model_dump(include={"best_top1", "train_loss"})
    return {name: float(value) for name, value in values.items()}
