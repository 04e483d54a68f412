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
from benchmark.records.schema import IMPORTED, Record
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
    spec = record.spec
    card = cards.get(spec.dataset)
    resolver = Resolver(card, card.protocol(spec.protocol), recipes, teachers)
    if spec.recipe == IMPORTED:
        if spec.network not in teachers:
            raise RecordError(
                f"the weights of {spec.network} came from a file of one's own: name it with "
                "--teacher-checkpoint."
            )
        run: AnyRun = resolver.imported(spec.network)
    else:
        # A run without a pair is the same one in every pair of its network.
        pair = Pair.parse(spec.pair) if spec.pair else Pair(spec.network, spec.network)
        run = resolver.resolve(Asked(spec.recipe, spec.settings, spec.network, pair, spec.seed))
    if run.identity != record.identity:
        raise RecordError(
            f"today '{run.label}' is another run than the record's, which is stale: it is "
            f"{difference(run, record)}. 'kdbench run' trains it as it is today."
        )
    return run
