"""The contract of a recipe: what a network minimises.

A recipe is one file in ``recipes/``. Its settings are typed class fields with defaults, its own
layers are made in ``build``, and ``forward`` returns the named, already weighted loss terms whose
sum is minimised. Everything else (data, optimiser, device, teacher, checkpoints, records) is the
engine's.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import typing
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import pydantic
import torch
from torch import Tensor, nn

from benchmark.errors import RecipeError, UsageError, suggestion
from benchmark.networks.outputs import Network, NetworkShape, Outputs
from benchmark.recipe.pair import Pair
from benchmark.strict import Later as Later
from benchmark.strict import has_mark

Terms = dict[str, Tensor]
Heard = Outputs | Mapping[str, Outputs] | None
"""What a recipe's teachers say: of one, of several by role, or nothing."""
Trains = Literal["student", "teacher"]
R = TypeVar("R", bound="Recipe")
NEEDS = frozenset({"embedding", "maps", "class_maps"})


@dataclass(frozen=True)
class Batch:
    """One batch as a recipe sees it.

    Attributes:
        images: (B, 3, H, W), normalised.
        labels: (B,) int64, classes; or (B, K) floating point, distributions over the classes.
            ``cross_entropy`` takes both alike.
        index: (B,) int64, positions in the training set.
        progress: share of the training, or of the stage, that is done, in [0, 1].
        views: the same images augmented once more, each (B, 3, H, W); as many as the recipe's
            ``views`` asks for, less one.
        class_count: number of classes K.
        draw: seed of the random choices of this step, the same for all members of a group.
        shared: what members of a group make of the batch once for all, by what it is.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    progress: float
    views: tuple[Tensor, ...] = ()
    class_count: int = 0
    draw: int = 0
    shared: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def classes(self) -> Tensor:
        """(B,) int64, the class of every image; of a distribution it is the most probable one."""
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(dim=1)


@dataclass(frozen=True)
class Role:
    """A run that must be trained first: which network, minimising what.

    Attributes:
        draw: 0 for a run with the seed of the run that needs it, which starts from the same weights
            and sees the same batches as any run of that network with that seed. Every larger
            number is a seed of its own, and so an independent draw.

    Raises:
        RecipeError: the draw is a negative number.
    """

    network: str
    recipe: str = "vanilla"
    settings: Mapping[str, Any] = field(default_factory=dict)
    draw: int = 0

    def __post_init__(self) -> None:
        if self.draw < 0:
            raise RecipeError(f"a role's draw is 0, 1, 2 and so on, not {self.draw}.")


def _none_rest(network: Network) -> Iterable[nn.Module]:
    return ()


@dataclass(frozen=True)
class Stage:
    """A part of the training with a loss of its own.

    Attributes:
        name: one word for a person.
        share: its length as a share of the protocol's epochs; it is at least one epoch.
        terms: what is minimised in it, called like ``Recipe.forward``.
        rests: the modules of student and recipe that it does not train, given the student. They
            are in eval mode and without gradient.
        rate: its learning rate as a share of the protocol's base rate. The last stage follows the
            protocol's schedule; those before it keep their rate after the warm-up.
    """

    name: str
    share: float
    terms: Callable[[Batch, Outputs, Any], Terms]
    rests: Callable[[Network], Iterable[nn.Module]] = _none_rest
    rate: float = 1.0


@dataclass(frozen=True)
class Shapes:
    """The shapes of the networks that a recipe is to combine.

    Attributes:
        student: of the network that is trained.
        maybe_teacher: of the network of role ``teacher``; None if the recipe has none.
    """

    student: NetworkShape
    maybe_teacher: NetworkShape | None

    @property
    def teacher(self) -> NetworkShape:
        """Of the network of role ``teacher``.

        Raises:
            RecipeError: the recipe has no such role.
        """
        if self.maybe_teacher is None:
            raise RecipeError(
                "this recipe has no teacher, and asks for the teacher's shape. Let roles() name a "
                "'teacher', or do without."
            )
        return self.maybe_teacher


@dataclass(frozen=True)
class Proposal(Shapes):
    """What a recipe may refuse: known before anything is trained or loaded.

    The shapes are those of the plain networks, as they are before any ``adapt``; the number of
    classes is ``student.classes``.

    Attributes:
        images: number of training images, as the data set's card says.
    """

    images: int


@dataclass(frozen=True)
class Context(Shapes):
    """What a recipe builds its layers from.

    Attributes:
        labels: (N,) int64, the class of every training sample by position.
        roles: the trained networks by role, in eval mode and frozen.
        network: the network that is trained, as ``adapt`` left it; None before training, and for
            ``refuse``.
        known: what ``before`` gave, by name.
    """

    labels: Tensor
    roles: Mapping[str, Network] = field(default_factory=dict)
    network: Network | None = None
    known: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Parameters with a learning rate or a weight decay of their own.

    Attributes:
        modules: whose parameters they are.
        rate: their learning rate as a share of the protocol's; it follows the schedule.
        decay: their weight decay instead of the protocol's; None is the protocol's.
    """

    modules: tuple[nn.Module, ...]
    rate: float = 1.0
    decay: float | None = None


@dataclass(frozen=True)
class RecipeInfo:
    """What is known of a recipe: what ``register`` was told, and the file that it stands in.

    Attributes:
        trains: whether the network that it trains is a pair's student, or a teacher for one.
        path: the file; empty for a class that was typed in.
        summary: the first line of the file's docstring, the idea in one sentence.
        digest: sha256 of the file, and of the recipe files that it imports from, as they were when
            they were imported; a later edit does not change it.
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
    digest: str


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
        self, context: Context, passing: Iterator[tuple[Batch, Heard]]
    ) -> Mapping[str, Tensor]:
        """What it must know of the training set before ``build``, in one pass over it.

        A recipe that overrides this gets every training image once, as it is, with what the
        networks that it hears say of it. Its tensors are kept with the first of those networks and
        computed again only when recipe or settings are others.

        Args:
            context: as in ``build``, with nothing ``known``.
            passing: the batches of the training set in its order.

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


def register(
    name: str,
    *,
    family: str,
    paper: str = "",
    version: int = 1,
    needs: Iterable[str] = (),
    trains: Trains = "student",
) -> Callable[[type[R]], type[R]]:
    """Register a recipe class under a name that stays stable for years.

    Args:
        name: lower case, words joined by hyphens.
        family: ``alone``, ``logits``, ``features``, ``relations``, ``contrastive``, ``head``.
        paper: e.g. ``arXiv:1503.02531``.
        version: raised when the mathematics changes; older results are then stale.
        needs: what it reads of the networks beyond logits: ``embedding``; ``maps``, which stand
            for the features too; ``class_maps``.
        trains: ``teacher`` if it is a step of other methods and none to compare with them.

    Raises:
        RecipeError: a need that no network can serve, a setting without a type or default, or an
            abstract method that the class does not define.
    """
    needed = frozenset(needs)
    if needed - NEEDS:
        raise RecipeError(f"recipe '{name}' needs {sorted(needed - NEEDS)}; known: {sorted(NEEDS)}")

    def decorate(cls: type[R]) -> type[R]:
        members = ((member, getattr(cls, member)) for member in dir(cls))
        abstract = [m for m, value in members if getattr(value, "__isabstractmethod__", False)]
        if abstract:
            raise RecipeError(f"recipe '{name}' does not define {' and '.join(abstract)}.")
        cls.settings_model = _settings_model(cls)
        module = sys.modules[cls.__module__]
        path = getattr(module, "__file__", None) or ""  # none in a notebook
        cls.info = RecipeInfo(
            name=name,
            family=family,
            paper=paper,
            version=version,
            needs=needed,
            cls=cls,
            trains=trains,
            path=path,
            summary=(inspect.getdoc(module) or "").partition("\n")[0],
            digest=_source_digest(cls),
        )
        return cls

    return decorate


def gather(tensor: Tensor) -> Tensor:
    """Rows of all processes in order of rank; the tensor itself if there is one process.

    Recipes that keep a state over the training set (CRD's banks) need it so that every process
    holds the same state. No gradient passes. Processes may hold unequal numbers of rows, as they
    do in a last batch that does not divide evenly.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return tensor
    world = torch.distributed.get_world_size()
    rows = torch.tensor([len(tensor)], device=tensor.device)
    all_rows = [torch.empty_like(rows) for _ in range(world)]
    torch.distributed.all_gather(all_rows, rows)
    counts = [int(count) for count in torch.cat(all_rows).tolist()]
    padded = tensor.new_zeros((max(counts), *tensor.shape[1:]))
    padded[: len(tensor)] = tensor.detach()
    parts = [torch.empty_like(padded) for _ in range(world)]
    torch.distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def _source_digest(cls: type[Recipe]) -> str:
    """Sha256 over a recipe's file and the recipe files that it imports from."""
    package = cls.__module__.rpartition(".")[0]
    names, contents = [cls.__module__], dict[str, bytes]()
    while names:
        name = names.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if name in contents or file is None:
            continue
        contents[name] = Path(file).read_bytes()
        for node in ast.walk(ast.parse(contents[name])):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                found = [node.module] if node.module else [alias.name for alias in node.names]
                names += [f"{package}.{stem}" for stem in found]
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(contents[name])
    return digest.hexdigest()


def _settings_model(cls: type[Recipe]) -> type[pydantic.BaseModel]:
    """The typed class fields of a recipe and its bases as a pydantic model.

    A field's default is what the class itself has, also where it overrides a base's without
    repeating the type.
    """
    fields: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is Recipe or not issubclass(base, Recipe):
            continue
        hints = typing.get_type_hints(base, include_extras=True)
        for name in inspect.get_annotations(base):
            if typing.get_origin(hints[name]) is ClassVar or name.startswith("_"):
                continue
            if name not in vars(base):
                raise RecipeError(f"setting '{name}' of {cls.__name__} has no default")
            fields[name] = (hints[name], getattr(cls, name))
    model = pydantic.create_model(
        f"{cls.__name__}Settings",
        __config__=pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False),
        **fields,
    )
    return typing.cast("type[pydantic.BaseModel]", model)
