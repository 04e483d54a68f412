"""A run: one training of one network, and the runs that it builds on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.cards.card import Card, Protocol
from benchmark.data.pictures import Pictures
from benchmark.errors import RecipeError, UsageError
from benchmark.networks.weights import file_digest
from benchmark.recipe.contract import Pair, Recipe, RecipeInfo, Role
from benchmark.records.canonical import identity_of, recipe_label
from benchmark.records.schema import ALONE, IMPORTED, RoleRecord, RunSpec
from benchmark.registry import Catalogue


@dataclass(frozen=True)
class Run:
    """What is to be trained, in full; equal runs have equal identities.

    Attributes:
        card: of the data set.
        network: name of the architecture.
        recipe: name of the method.
        version: of the recipe's mathematics.
        settings: the recipe's settings, without those of a later date that are at their default.
        changed: those that are not the defaults.
        protocol: how long and how.
        seed: of initial weights, order and augmentation.
        pair: of the cell; None for a run that no teacher of a pair has a part in.
        roles: the runs it builds on.
        starts_from: full name of the published weights that the network starts from; empty if all
            its weights are drawn.
        weights: file of imported weights; None for a run that is trained.
    """

    card: Card
    network: str
    recipe: str
    version: int
    settings: Mapping[str, Any]
    changed: Mapping[str, Any]
    protocol: Protocol
    seed: int
    pair: Pair | None
    roles: Mapping[str, Run] = field(default_factory=dict)
    starts_from: str = ""
    weights: Path | None = None

    @property
    def pictures(self) -> Pictures:
        """What the network sees."""
        return Pictures.of(self.card, self.protocol)

    @cached_property
    def identity(self) -> str:
        """Sha256 of everything that changes the result."""
        return identity_of(self.spec({}))

    def spec(self, accuracies: Mapping[str, float]) -> RunSpec:
        """The run as its record says it.

        Args:
            accuracies: top-1 in percent by identity, for the roles.
        """
        imported = self.weights is not None
        # Of a protocol, weights that were brought know the image size alone.
        size = self.protocol.image_size
        seen = {} if size is None else {"image_size": size}
        return RunSpec(
            dataset=self.card.name,
            data_revision=self.card.revision,
            network=self.network,
            pair=str(self.pair) if self.pair else None,
            recipe=self.recipe,
            recipe_version=self.version,
            settings=dict(self.settings),
            changed=dict(self.changed),
            protocol=self.protocol.name,
            protocol_values=self.protocol.for_network(self.network) if not imported else seen,
            default_protocol=(imported and not seen)
            or self.protocol.name == self.card.default_protocol.name,
            ranked=self.protocol.ranked,
            seed=self.seed,
            starts_from=self.starts_from,
            roles={
                name: RoleRecord(
                    identity=run.identity,
                    network=run.network,
                    recipe=run.recipe,
                    top1=accuracies.get(run.identity),
                )
                for name, run in self.roles.items()
            },
            variant=self.variant,
        )

    @cached_property
    def variant(self) -> str:
        """What is unusual about the roles; keeps the records of such runs apart."""
        parts = []
        for name, run in sorted(self.roles.items()):
            if run.weights is not None:
                parts.append(f"{name} of {run.settings['sha256'][:16]}")
            elif run.variant:
                parts.append(f"{name}: {run.variant}")
        return "; ".join(parts)

    @property
    def recipe_label(self) -> str:
        """The recipe with the settings that are not the defaults."""
        return recipe_label(self.recipe, self.changed)

    @property
    def label(self) -> str:
        """Short name for a person."""
        teacher = self.roles.get("teacher")
        where = f"{teacher.network}→{self.network}" if teacher else self.network
        return f"{where} {self.recipe_label}"

    def family(self) -> Iterator[Run]:
        """The runs that this one builds on, and itself, those that must be first first."""
        for role in self.roles.values():
            yield from role.family()
        yield self


def fault_in(info: RecipeInfo, method: str, error: Exception) -> RecipeError:
    """A recipe's own method raised before anything was trained."""
    return RecipeError(
        f"recipe '{info.name}': {method}() raised {type(error).__name__}: {error}\n"
        f"Correct it in {info.path}."
    )


def _follows_teacher(recipe: Recipe, pair: Pair) -> bool:
    """Whether the roles of a recipe would be others with another teacher in the pair."""
    try:
        return recipe.roles(Pair("another network", pair.student)) != recipe.roles(pair)
    except Exception:  # it reads something in the teacher's name
        return True


class Resolver:
    """Makes runs from names.

    Args:
        card: of the data set.
        protocol: for all runs.
        recipes: the catalogue.
        teachers: files of teacher weights by network; they stand in for training that network
            alone.
    """

    def __init__(
        self,
        card: Card,
        protocol: Protocol,
        recipes: Catalogue[RecipeInfo],
        teachers: Mapping[str, Path] | None = None,
    ) -> None:
        self.card, self.protocol, self.recipes = card, protocol, recipes
        self.teachers = {
            network: (path, file_digest(path)) for network, path in (teachers or {}).items()
        }

    def run(
        self,
        recipe: str,
        settings: Mapping[str, Any],
        *,
        network: str,
        pair: Pair,
        seed: int,
        above: tuple[str, ...] = (),
    ) -> Run:
        """The run of a recipe on a network, with all that it builds on.

        Raises:
            UnknownName: no such recipe.
            UsageError: a setting that the recipe does not have; roles that go in a circle.
            NetworkError: the protocol starts from published weights, and the network has none.
        """
        info = self.recipes.get(recipe)
        if recipe in above:
            circle = " → ".join((*above, recipe))
            raise UsageError(f"the roles of recipe '{recipe}' go in a circle: {circle}.")
        instance: Recipe = info.cls(**settings)
        values = info.cls.check_settings(settings)
        defaults = info.cls.check_settings({})
        try:
            asked = instance.roles(pair)
        except Exception as error:
            raise fault_in(info, "roles", error) from error
        roles = {
            name: self._role(role, pair, seed, (*above, recipe)) for name, role in asked.items()
        }
        # A run that no teacher of a pair has a part in is the same run in every pair of it.
        alike = (
            network == pair.student
            and not _follows_teacher(instance, pair)
            and not any(role.pair for role in roles.values())
        )
        return Run(
            card=self.card,
            network=network,
            recipe=info.name,
            version=info.version,
            settings=info.cls.identified(values),
            changed={name: value for name, value in values.items() if value != defaults[name]},
            protocol=self.protocol,
            seed=seed,
            pair=None if alike else pair,
            roles=roles,
            starts_from=self._starts_from(network),
        )

    def _starts_from(self, network: str) -> str:
        if not self.protocol.pretrained:
            return ""
        # timm takes seconds to import, and only those who ask for its weights should wait.
        from benchmark.networks.published import published_name

        return published_name(network)

    def _role(self, role: Role, pair: Pair, seed: int, above: tuple[str, ...]) -> Run:
        if role.recipe == ALONE and role.network == pair.teacher and pair.teacher in self.teachers:
            return self.imported(pair.teacher)
        return self.run(
            role.recipe, role.settings, network=role.network, pair=pair, seed=seed, above=above
        )

    def imported(self, network: str) -> Run:
        """Weights that the user brought, as a run that needs no training."""
        path, digest = self.teachers[network]
        settings = {"sha256": digest}
        return Run(
            card=self.card,
            network=network,
            recipe=IMPORTED,
            version=1,
            settings=settings,
            changed={"sha256": digest[:16]},
            protocol=self.protocol,
            seed=0,
            pair=None,
            weights=path,
        )
