"""A run: one training of one network, or weights that were brought, and what it builds on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark.cards.card import Card, Protocol
from benchmark.data.pictures import Pictures
from benchmark.errors import RecipeError, UsageError
from benchmark.records.canonical import identity_of, recipe_label
from benchmark.records.schema import IMPORTED, RoleRecord, RunSpec
from benchmark.strict import faults

if TYPE_CHECKING:
    from benchmark.recipe.contract import Recipe, RecipeInfo
    from benchmark.recipe.pair import Pair


@dataclass(frozen=True)
class AnyRun(ABC):
    """What runs of both kinds are asked for.

    Attributes:
        card: of the data set.
        network: name of the architecture.
        protocol: how long and how; of weights that were brought it says the image size alone.
    """

    card: Card
    network: str
    protocol: Protocol

    @property
    @abstractmethod
    def spec(self) -> RunSpec:
        """What is asked for, without the accuracies of the roles."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Digest of what the result comes from: the recipe's files, or the file of weights."""

    def has_source(self, recorded: str) -> bool:
        """Whether a record's ``recipe_source`` is of what the run comes from today."""
        return recorded == self.source

    @property
    @abstractmethod
    def variant(self) -> str:
        """What is unusual about the roles; keeps the records of such runs apart."""

    @property
    def roles(self) -> Mapping[str, AnyRun]:
        """The runs that it builds on."""
        return {}

    @property
    def pictures(self) -> Pictures:
        """What the network sees."""
        return Pictures.of(self.card, self.protocol)

    @cached_property
    def identity(self) -> str:
        """Sha256 of everything that changes the result."""
        return identity_of(self.spec)

    def recorded_spec(
        self, accuracies: Mapping[str, float], weights: Mapping[str, str] | None = None
    ) -> RunSpec:
        """What a record says of the run.

        Args:
            accuracies: top-1 in percent by identity, for the roles.
            weights: digests of the roles' weights by identity, as far as they are known.
        """
        roles = {}
        for name, role in self.spec.roles.items():
            digest = (weights or {}).get(role.identity)
            known = {"top1": accuracies.get(role.identity), "weights": digest}
            roles[name] = role.model_copy(update=known)
        return self.spec.model_copy(update={"roles": roles})

    @property
    def recipe_label(self) -> str:
        """The recipe with the settings that are not the defaults."""
        return recipe_label(self.spec.recipe, self.spec.changed)

    @property
    def label(self) -> str:
        """Short name for a person."""
        teacher = self.roles.get("teacher")
        where = f"{teacher.network}→{self.network}" if teacher else self.network
        return f"{where} {self.recipe_label}"

    def family(self) -> Iterator[AnyRun]:
        """The runs that this one builds on, in the order of training, then the run itself."""
        for role in self.roles.values():
            yield from role.family()
        yield self


@dataclass(frozen=True)
class Asked:
    """The words that a run is resolved from; with card and protocol they are all that it is.

    Attributes:
        recipe: name.
        settings: of the recipe, as values or text.
        network: that is trained.
        pair: of the cell.
        seed: of the cell.
    """

    recipe: str
    settings: Mapping[str, Any]
    network: str
    pair: Pair
    seed: int


@dataclass(frozen=True)
class Run(AnyRun):
    """What is to be trained, in full; equal runs have equal identities.

    Attributes:
        recipe: the method.
        settings: the recipe's settings, without those of a later date that are at their default.
        seed: of initial weights, order and augmentation.
        asked: the words that it was resolved from.
        pair: of the cell; None for a run that no teacher of a pair has a part in.
        built_on: the runs that it builds on, by role.
        starts_from: full name of the published weights that the network starts from; empty if all
            its weights are drawn.
    """

    recipe: RecipeInfo
    settings: Mapping[str, Any]
    seed: int
    asked: Asked
    pair: Pair | None
    built_on: Mapping[str, AnyRun] = field(default_factory=dict)
    starts_from: str = ""

    @property
    def roles(self) -> Mapping[str, AnyRun]:
        """The runs that it builds on."""
        return self.built_on

    @property
    def source(self) -> str:
        """What the recipe's file and those that it imports from mean."""
        return self.recipe.source.meaning

    def has_source(self, recorded: str) -> bool:
        """Whether a record's ``recipe_source`` is of the recipe as it is today."""
        return self.recipe.source.matches(recorded)

    @cached_property
    def spec(self) -> RunSpec:
        """What is asked for, without the accuracies of the roles."""
        defaults = self.recipe.cls.check_settings({})
        return _spec_of(
            dataset=self.card.name,
            data_revision=self.card.revision,
            network=self.network,
            pair=str(self.pair) if self.pair else None,
            recipe=self.recipe.name,
            recipe_version=self.recipe.version,
            settings=dict(self.settings),
            changed={k: v for k, v in self.settings.items() if v != defaults[k]},
            protocol=self.protocol.name,
            protocol_values=self.protocol.for_network(self.network),
            default_protocol=self.protocol.name == self.card.default_protocol.name,
            ranked=self.protocol.ranked,
            seed=self.seed,
            starts_from=self.starts_from,
            roles={
                name: RoleRecord(identity=run.identity, network=run.network, recipe=run.spec.recipe)
                for name, run in self.roles.items()
            },
            variant=self.variant,
        )

    @cached_property
    def variant(self) -> str:
        """What is unusual about the roles; keeps the records of such runs apart."""
        parts = []
        for name, run in sorted(self.roles.items()):
            if isinstance(run, ImportedRun):
                parts.append(f"{name} of {run.variant}")
            elif run.variant:
                parts.append(f"{name}: {run.variant}")
        return "; ".join(parts)

    @cached_property
    def heard(self) -> tuple[AnyRun, ...]:
        """The runs whose networks are asked in every step."""
        return tuple(self.roles[role] for role in self.recipe.cls.hears if role in self.roles)

    def make_recipe(self) -> Recipe:
        """The recipe with the run's settings, not yet built."""
        return self.recipe.cls(**self.settings)


@dataclass(frozen=True)
class ImportedRun(AnyRun):
    """Weights that a user brought: a run that needs no training.

    Attributes:
        weights: their file.
        digest: its sha256.
    """

    weights: Path
    digest: str

    @property
    def source(self) -> str:
        """Sha256 of the file."""
        return self.digest

    @property
    def variant(self) -> str:
        """The file by the first digits of its sha256."""
        return self.digest[:16]

    @cached_property
    def spec(self) -> RunSpec:
        """What is asked for."""
        size = self.protocol.image_size
        return RunSpec(
            dataset=self.card.name,
            data_revision=self.card.revision,
            network=self.network,
            pair=None,
            recipe=IMPORTED,
            recipe_version=1,
            settings={"sha256": self.digest},
            changed={"sha256": self.digest[:16]},
            protocol=self.protocol.name,
            protocol_values={} if size is None else {"image_size": size},
            default_protocol=size is None or self.protocol.name == self.card.default_protocol.name,
            ranked=self.protocol.ranked,
            seed=0,
            roles={},
        )


def _spec_of(**values: Any) -> RunSpec:
    try:
        return RunSpec(**values)
    except ValidationError as error:
        raise UsageError(
            f"a run of '{values['recipe']}' on {values['network']:.80} cannot be recorded: "
            f"{'; '.join(faults(error)[:5]):.1000}.\nCorrect its settings or its protocol."
        ) from None


def fault_in(info: RecipeInfo, method: str, error: BaseException) -> RecipeError:
    """A recipe's own method raised before anything was trained."""
    return RecipeError(
        f"recipe '{info.name}': {method}() raised {type(error).__name__}: {error}\n"
        f"Correct it in {info.path}."
    )
