"""The contract of a recipe: what a network minimises.

A recipe is one file in ``recipes/``. Its settings are typed class fields with defaults, its own
layers are made in ``build``, and ``forward`` returns the named, already weighted loss terms whose
sum is minimised. Everything else (data, optimiser, device, teacher, checkpoints, records) is the
engine's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pydantic
from torch import Tensor, nn

from benchmark.errors import RecipeError, UsageError, suggestion
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Batch, Terms
from benchmark.recipe.context import Context, Proposal
from benchmark.recipe.pair import Pair, Role
from benchmark.recipe.source import Source
from benchmark.recipe.stage import Part, Stage
from benchmark.strict import Later, has_mark

Trains = Literal["student", "teacher"]


@dataclass(frozen=True)
class RecipeInfo:
    """What is known of a recipe: what ``register`` was told, and the file that it stands in.

    Attributes:
        trains: whether the network that it trains is a pair's student, or a teacher for one.
        path: the file; empty for a class that was typed in.
        summary: the first line of the file's docstring, the idea in one sentence.
        source: of the file, and of the recipe files that it imports from, as they were when they
            were imported; a later edit does not change it.
    """

    name: str
    family: str
    paper: str
    version: int
    needs: frozenset[str]
    cls: type[Recipe]
    trains: Trains
    path: str
    summary: str
    source: Source


class Recipe(nn.Module):
    """Base of all recipes. Its instances hold the recipe's own layers, if it has any."""

    info: ClassVar[RecipeInfo]
    settings_model: ClassVar[type[pydantic.BaseModel]]
    hears: ClassVar[tuple[str, ...]] = ("teacher",)
    """The roles whose networks run on every batch, as far as the recipe has them."""
    views: ClassVar[int] = 1
    """How many augmented views of every image it looks at in a step."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        for name, value in self.check_settings(settings).items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but no layer in the place of a method, which would hide it.

        Raises:
            RecipeError: the layer has the name of a part of the contract.
        """
        if isinstance(value, nn.Module | Tensor) and hasattr(Recipe, name):
            raise RecipeError(
                f"recipe '{self.info.name}' calls a layer '{name}', as a method of every recipe is "
                "called. Choose another name."
            )
        super().__setattr__(name, value)

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Validate settings (values or their text) and complete them with the defaults.

        Raises:
            UsageError: a name that the recipe does not have, or a value that it cannot take.
        """
        known = cls.settings_model.model_fields
        for name in settings:
            if name not in known:
                raise UsageError(
                    f"recipe '{cls.info.name}' has no setting '{name}'.{suggestion(name, known)}\n"
                    f"Its settings: {', '.join(known) or 'none'}."
                )
        try:
            return dict(cls.settings_model(**settings).model_dump())
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            raise UsageError(
                f"recipe '{cls.info.name}', setting '{name}': '{settings[name]}' does not do: "
                f"{first['msg']}."
            ) from None

    @classmethod
    def identified(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Of complete settings, those that make the identity of a run."""
        return {
            name: settings[name]
            for name, field in cls.settings_model.model_fields.items()
            if not has_mark(field, Later) or settings[name] != field.default
        }

    def roles(self, pair: Pair) -> dict[str, Role]:
        """Runs to train first, by role; the default is the pair's teacher trained alone."""
        return {"teacher": Role(pair.teacher)}

    def refuse(self, proposal: Proposal) -> str | None:
        """Why these two networks cannot be combined, or None; asked before anything is trained."""
        return None

    def refusal(self, proposal: Proposal) -> str | None:
        """Why the recipe cannot be trained so: a network lacks what it needs, or it refuses."""
        if "class_maps" in self.info.needs:
            for shape in (proposal.student, proposal.maybe_teacher):
                if shape is not None and shape.no_class_maps:
                    return f"it reads class maps, and {shape.no_class_maps}"
        return self.refuse(proposal)

    def build(self, context: Context) -> None:
        """Make the recipe's own layers and buffers; the random state is seeded by the engine."""

    def adapt(self, network: Network, roles: Mapping[str, Network]) -> Network:
        """Change the network before it is trained, e.g. share and freeze a classifier."""
        return network

    def before(
        self, context: Context, passing: Iterator[tuple[Batch, Any]]
    ) -> Mapping[str, Tensor]:
        """What it must know of the training set before ``build``, in one pass over it.

        A recipe that overrides this gets every training image once, as it is, with what the
        networks that it hears say of it. Its tensors are kept with the first of those networks and
        computed again only when recipe or settings are others.

        Args:
            context: as in ``build``, without ``network`` and with nothing ``known``.
            passing: the batches of the training set in its order, without augmentation, each with
                what ``forward`` would get as ``teacher``.

        Returns:
            Tensors by name: ``context.known`` in ``build``.
        """
        return {}

    def view(self, batch: Batch) -> Batch:
        """The batch as the recipe looks at it: mixed, augmented again, rotated.

        ``mixed``, ``stacked`` and ``rotated`` of ``benchmark`` are the usual ones. Student and
        teacher both see its images. Random choices come from a generator that is seeded by
        ``batch.draw``.
        """
        return batch

    @abstractmethod
    def forward(self, batch: Batch, student: Outputs, teacher: Any) -> Terms:
        """The weighted loss terms, scalars by name, in float32; their sum is minimised.

        Args:
            batch: images, labels and positions, as ``view`` gave them.
            student: what the trained network computed.
            teacher: Outputs, without gradient, of the role that the recipe ``hears``; by role if it
                hears several; None if it hears none. A recipe writes down which it takes.
        """

    def after_step(self, network: Network) -> None:
        """Follow the update of the network, without gradient: moving averages, memories."""

    def parameter_groups(self, network: Network) -> Iterable[Part]:
        """Parts with a rate or a weight decay of their own; the rest has the protocol's."""
        return ()

    def stages(self) -> tuple[Stage, ...]:
        """The parts of the training, in their order.

        The last one is the protocol's own training, of share 1. Those before it come on top of the
        protocol's epochs, and the record counts them. May be asked before ``build``.
        """
        return (Stage("main", 1.0, self.forward),)

    def predict(self, student: Outputs) -> Tensor:
        """Logits (B, K) used for evaluation and deployment."""
        return student.logits

    def deployed(self) -> Iterable[nn.Module]:
        """The recipe's own layers that ``predict`` uses, which therefore stay at deployment."""
        return ()
