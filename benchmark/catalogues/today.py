"""What recipes and cards say today, to tell stale records and those of another source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.errors import UsageError
from benchmark.layouts.catalogue import known_cards
from benchmark.recipe.index import describe_recipes
from benchmark.recipe.source import Source
from benchmark.records.attestations import Attested
from benchmark.records.schema import IMPORTED, RunSpec
from benchmark.records.sources import Sources
from benchmark.reports.board.staleness import Current


def current(paths: Sequence[Path], cache_dir: Path) -> Current:
    """What recipes and cards say today.

    Args:
        paths: folders given by ``--path``.
        cache_dir: of the index of recipes.
    """
    catalogue = known_cards(paths)
    recipes = describe_recipes(paths, cache_dir)

    @cache  # thousands of records are of a few networks and protocols
    def asked(dataset: str, protocol: str, network: str) -> Mapping[str, Any]:
        try:
            return catalogue.get(dataset).protocol(protocol).for_network(network)
        except UsageError:
            return {}

    def protocol_values(spec: RunSpec) -> Mapping[str, Any] | None:
        """What the card's protocol of this name asks of the network today."""
        if spec.dataset not in catalogue or spec.recipe == IMPORTED:
            return None  # no such card any more, or weights that were brought
        return asked(spec.dataset, spec.protocol, spec.network)

    return Current(
        recipe_versions={recipe.name: recipe.version for recipe in recipes if not recipe.error},
        data_revisions={card.name: card.revision for card in catalogue.values()},
        protocol_values=protocol_values,
    )


def sources(paths: Sequence[Path], cache_dir: Path, attested: Attested) -> Sources:
    """The sources of today's recipes, and what is attested of older ones.

    Args:
        paths: folders given by ``--path``.
        cache_dir: of the index of recipes.
        attested: of the store whose records are looked at (``Contents.attested``).
    """
    recipes = describe_recipes(paths, cache_dir)
    known = {
        recipe.name: Source(recipe.source, recipe.source_text)
        for recipe in recipes
        if not recipe.error
    }
    return Sources(known, attested)
