"""What a reader must know of a table's records before comparing them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from benchmark.records.canonical import equal
from benchmark.records.schema import IMPORTED, Record, RunSpec
from benchmark.reports.board.footnotes import notes_on_places
from benchmark.reports.board.provenance import OriginOf, recorded

K = TypeVar("K")
T = TypeVar("T")


def notes_on(records: Sequence[Record], origin: OriginOf = recorded) -> Iterable[str]:
    """One sentence for each thing that weakens a comparison, or that costs more than is seen.

    Args:
        records: all that stand in the table.
        origin: which source of its recipe a record comes from.
    """
    total = len(records)
    if dirty := sum(record.environment.git_dirty is True for record in records):
        yield f"{dirty} of {total} records come from a working tree with uncommitted changes."
    if spread := sum(record.environment.processes > 1 for record in records):
        yield f"{spread} of {total} records were trained by several processes."
    if half := sum(record.environment.precision == "bf16" for record in records):
        yield f"{half} of {total} records were trained in bf16."
    yield from notes_on_places(records)
    yield from _costs(records)
    trained = [record.spec for record in records if record.spec.recipe != IMPORTED]
    if not all(equal(_without_rate(trained[0]), _without_rate(spec)) for spec in trained):
        yield "The records were trained with different values of this protocol."
    sources = _grouped((record.spec.recipe, origin(record).key) for record in records)
    if edited := sorted(recipe for recipe, keys in sources.items() if len(keys) > 1):
        yield f"The recipe's file changed between records of one version: {', '.join(edited)}."


def _without_rate(spec: RunSpec) -> Mapping[str, Any]:
    """The values of the protocol but for the learning rate, which each network has its own of."""
    return {name: value for name, value in spec.protocol_values.items() if name != "lr"}


def _costs(records: Iterable[Record]) -> Iterable[str]:
    spent = [(record.cost, record.spec.recipe) for record in records if record.cost]
    extra = _grouped((cost.extra_epochs, recipe) for cost, recipe in spent if cost.extra_epochs)
    for epochs, recipes in sorted(extra.items()):
        yield f"A first stage of {epochs} more epochs: {', '.join(sorted(recipes))}."
    passes = _grouped(
        ((cost.forwards_per_image, cost.backwards_per_image), recipe)
        for cost, recipe in spent
        if cost.forwards_per_image is not None and cost.backwards_per_image is not None
    )
    if passes:
        counted = (
            f"{forwards:g} and {backwards:g} ({', '.join(sorted(recipes))})"
            for (forwards, backwards), recipes in sorted(passes.items())
        )
        yield f"Forwards and backwards an image, teachers included: {'; '.join(counted)}."


def _grouped(pairs: Iterable[tuple[K, T]]) -> Mapping[K, set[T]]:
    groups: dict[K, set[T]] = defaultdict(set)
    for key, value in pairs:
        groups[key].add(value)
    return groups
