"""From a record back to the run that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cards.card import Card
from benchmark.errors import RecordError
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked
from benchmark.matrix.states import difference
from benchmark.recipe.pair import Pair
from benchmark.records.schema import IMPORTED, Record, RunSpec
from benchmark.registry import Catalogue

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo


def run_of(
    record: Record,
    cards: Catalogue[Card],
    recipes: Catalogue[RecipeInfo],
    teachers: Mapping[str, tuple[Path, str]],
) -> AnyRun:
    """The run of a record, as it would be trained today.

    Args:
        record: of any status.
        cards: the data sets of today.
        recipes: those of today.
        teachers: files of teacher weights by network, with their sha256.

    Raises:
        UnknownName: there is no such data set or recipe any more.
        UsageError: there is no such protocol or setting any more.
        RecordError: today it is another run, or it needs weights that nobody gave.
    """
    card = cards.get(record.spec.dataset)
    run = run_as(record.spec, record.spec.protocol, card, recipes, teachers)
    if run.identity != record.identity:
        raise RecordError(
            f"today '{run.label}' is another run than the record's, which is stale: it is "
            f"{difference(run, record)}. 'kdbench run' trains it as it is today."
        )
    return run


def run_as(
    spec: RunSpec,
    protocol: str,
    card: Card,
    recipes: Catalogue[RecipeInfo],
    teachers: Mapping[str, tuple[Path, str]],
) -> AnyRun:
    """The run that was asked for, under any protocol and with the recipes of any time.

    Args:
        spec: what was asked for.
        protocol: its name, with changes in brackets.
        card: of the data set.
        recipes: where the recipe is looked for.
        teachers: files of teacher weights by network, with their sha256.

    Raises:
        UnknownName: there is no such recipe.
        UsageError: there is no such protocol or setting.
        RecordError: it needs weights that nobody gave.
    """
    resolver = Resolver(card, card.protocol(protocol), recipes, teachers)
    if spec.recipe == IMPORTED:
        if spec.network not in teachers:
            raise RecordError(
                f"the weights of {spec.network} came from a file of one's own: name it with "
                "--teacher-checkpoint."
            )
        return resolver.imported(spec.network)
    # A run without a pair is the same one in every pair of its network.
    pair = Pair.parse(spec.pair) if spec.pair else Pair(spec.network, spec.network)
    return resolver.resolve(Asked(spec.recipe, spec.settings, spec.network, pair, spec.seed))
