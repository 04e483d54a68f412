"""From names to runs, with all that they build on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cards.card import Card, Protocol
from benchmark.errors import UsageError
from benchmark.matrix.run import AnyRun, Asked, ImportedRun, Run, fault_in
from benchmark.records.schema import ALONE, DRAW
from benchmark.registry import Catalogue

if TYPE_CHECKING:
    from benchmark.recipe.contract import Recipe, RecipeInfo
    from benchmark.recipe.pair import Pair, Role


class Resolver:
    """Makes runs from names.

    Args:
        card: of the data set.
        protocol: for all runs.
        recipes: the catalogue.
        teachers: files of teacher weights by network, with their sha256; they stand in for training
            that network alone.
    """

    def __init__(
        self,
        card: Card,
        protocol: Protocol,
        recipes: Catalogue[RecipeInfo],
        teachers: Mapping[str, tuple[Path, str]] | None = None,
    ) -> None:
        self.card, self.protocol, self.recipes = card, protocol, recipes
        self.teachers = teachers or {}

    def resolve(self, asked: Asked, above: tuple[str, ...] = ()) -> Run:
        """The run of a recipe on a network, with all that it builds on.

        Args:
            asked: the words.
            above: recipes whose roles are being resolved.

        Raises:
            UnknownName: no such recipe.
            UsageError: a setting that the recipe does not have; roles that go in a circle.
            NetworkError: the protocol starts from published weights, and the network has none.
        """
        info, pair = self.recipes.get(asked.recipe), asked.pair
        if info.name in above:
            circle = " → ".join((*above, info.name))
            raise UsageError(f"the roles of recipe '{info.name}' go in a circle: {circle}.")
        recipe = info.cls(**asked.settings)
        try:
            wanted = recipe.roles(pair)
        except Exception as error:
            raise fault_in(info, "roles", error) from error
        roles = {
            name: self._role(role, pair, asked.seed, (*above, info.name))
            for name, role in wanted.items()
        }
        # A run that no teacher of a pair has a part in is the same run in every pair of it.
        alike = (
            asked.network == pair.student
            and not _follows_teacher(recipe, pair)
            and not any(isinstance(role, Run) and role.pair for role in roles.values())
        )
        return Run(
            card=self.card,
            network=asked.network,
            protocol=self.protocol,
            recipe=info,
            settings=info.cls.identified(info.cls.check_settings(asked.settings)),
            seed=asked.seed,
            asked=asked,
            pair=None if alike else pair,
            built_on=roles,
            starts_from=self._starts_from(asked.network),
        )

    def imported(self, network: str) -> ImportedRun:
        """Weights of a network that the user brought."""
        path, digest = self.teachers[network]
        return ImportedRun(self.card, network, self.protocol, path, digest)

    def _role(self, role: Role, pair: Pair, seed: int, above: tuple[str, ...]) -> AnyRun:
        seed += role.draw * DRAW
        alone = role.recipe == ALONE and not role.draw
        if alone and role.network == pair.teacher and pair.teacher in self.teachers:
            return self.imported(pair.teacher)
        return self.resolve(Asked(role.recipe, role.settings, role.network, pair, seed), above)

    def _starts_from(self, network: str) -> str:
        if not self.protocol.pretrained:
            return ""
        from benchmark.networks.index import starts_from  # imports torch

        return starts_from(network)


def _follows_teacher(recipe: Recipe, pair: Pair) -> bool:
    """Whether the roles of a recipe would be others with another teacher in the pair."""
    # The class of a pair is asked for by its object, so that this module imports no torch.
    other = type(pair)("another network", pair.student)
    try:
        return recipe.roles(other) != recipe.roles(pair)
    except Exception:  # it reads something in the teacher's name
        return True
