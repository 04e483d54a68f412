"""A recipe that is ready to train on a few images, as the engine would have made it."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from benchmark.errors import IncompatiblePair
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Batch, Heard, Shelf, Terms
from benchmark.recipe.context import Context, Proposal
from benchmark.recipe.contract import Recipe, RecipeInfo
from benchmark.recipe.pair import Pair
from benchmark.recipe.stage import Stage
from benchmark.registry import Catalogue
from benchmark.training.steps.lesson import Lesson

PAIRS = {
    "equal widths": Pair("resnet14", "resnet8"),
    "unequal widths": Pair("wrn_16_2", "resnet8"),
    "more and smaller maps": Pair("resnet8", "MobileNetV2"),
    "fewer and larger maps": Pair("vgg8", "resnet8"),
}
ANYWHERE = "unequal widths", "equal widths"  # the first that a recipe does not refuse
CLASSES = 4
LABELS = (0, 1, 2, 3, 0, 1, 2, 0, 1, 0, 3, 2, 1, 0, 0, 1, 3, 2, 1, 0, 2, 3, 0, 1)
BATCH = (3, 17, 8, 0, 21, 12)
PASS = 10  # images a batch, when the training set is passed


class Unmet(Exception):
    """A recipe does not keep a law; the message says in what."""


def require(kept: object, otherwise: str) -> None:
    """Go on if a law is kept.

    Raises:
        Unmet: it is not.
    """
    if not kept:
        raise Unmet(otherwise)


@dataclass(frozen=True)
class Form:
    """A recipe with one choice of the settings that are a choice, e.g. ``form=paper``."""

    info: RecipeInfo
    settings: Mapping[str, str]

    def __str__(self) -> str:
        chosen = ",".join(f"{name}={choice}" for name, choice in self.settings.items())
        return f"{self.info.name}[{chosen}]" if chosen else self.info.name


def forms_of(info: RecipeInfo) -> Iterator[Form]:
    """A recipe as it is, and with every other choice of its settings that are a choice."""
    yield Form(info, {})
    for name, setting in info.cls.settings_model.model_fields.items():
        choices: tuple[object, ...] = ()
        if get_origin(setting.annotation) is Literal:
            choices = get_args(setting.annotation)
        elif setting.annotation is bool:
            choices = (True, False)
        for choice in choices:
            if choice != setting.default:
                yield Form(info, {name: str(choice).lower()})


@dataclass
class Scene:
    """A recipe with its networks and a batch."""

    recipe: Recipe
    student: Network
    roles: Mapping[str, Network]
    batch: Batch

    def passing(self) -> Iterator[tuple[Batch, Heard]]:
        """The training set once, in its order, with what is heard of it."""
        for index in torch.split(torch.arange(len(LABELS)), PASS):
            batch = replace(batch_of(self.recipe, index), views=())
            yield batch, self.taught(batch)

    def seen(self, **changes: Any) -> Batch:
        """The batch with some changes, as the recipe looks at it."""
        return self.recipe.view(replace(self.batch, shared=Shelf(), **changes))

    def outputs(self, batch: Batch | None = None) -> Outputs:
        """The student's outputs with gradient."""
        return self._run(self.student, batch or self.seen())

    def taught(self, batch: Batch | None = None) -> Heard:
        """The outputs without gradient of the networks that the recipe hears."""
        batch = batch or self.seen()
        with torch.no_grad():
            said = {
                role: self._run(self.roles[role], batch)
                for role in self.recipe.hears
                if role in self.roles
            }
        return said if len(self.recipe.hears) > 1 else next(iter(said.values()), None)

    def stages(self) -> Iterator[Stage]:
        """The stages of the recipe, each begun as the engine begins it.

        Raises:
            Unmet: one of them trains nothing.
        """
        for stage in self.recipe.stages():
            require(self._lesson.enter(stage), f"stage '{stage.name}' trains nothing")
            self._lesson.wake()
            yield stage

    def terms(
        self, stage: Stage | None = None, *, progress: float = 0.0, labels: Tensor | None = None
    ) -> Terms:
        """One step's loss terms, of the last stage or another; random draws are the same always."""
        torch.manual_seed(7)
        stage = stage or self.recipe.stages()[-1]
        labels = self.batch.labels if labels is None else labels
        batch = self.seen(progress=progress, labels=labels)
        return stage.terms(batch, self.outputs(batch), self.taught(batch))

    def after_step(self) -> None:
        """What the engine lets the recipe do behind an update."""
        with torch.no_grad():
            self.recipe.after_step(self.student)

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters of student and recipe that may be trained, by name."""
        return {
            f"{owner}.{name}": parameter
            for owner, module in (("student", self.student), ("recipe", self.recipe))
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    @functools.cached_property
    def _lesson(self) -> Lesson:
        first = self.recipe.stages()[0]
        return Lesson(self.student, self.recipe, contextlib.nullcontext, first)

    def _run(self, network: Network, batch: Batch) -> Outputs:
        needs = self.recipe.info.needs
        shown = {name: name in needs for name in ("maps", "class_maps")}
        outputs: Outputs = network(batch.images, **shown)
        if "embedding" not in needs:  # whoever reads it without need for it gets no number
            outputs = replace(outputs, embedding=torch.full_like(outputs.embedding, torch.nan))
        return outputs


@dataclass(frozen=True)
class Stagehand:
    """Makes scenes.

    Attributes:
        recipes: all that there are, for those that train the networks of roles.
    """

    recipes: Catalogue[RecipeInfo]
    _drawn: dict[tuple[str, int], Network] = field(default_factory=dict, repr=False)

    def stage(
        self, form: Form, pair: Pair | None, *, seed: int = 0, images: int = len(BATCH)
    ) -> Scene:
        """Build a recipe with all networks that it needs.

        Args:
            form: the recipe.
            pair: the networks; None is the first pair that the recipe does not refuse.
            seed: of what ``build`` draws.
            images: in the batch.

        Raises:
            IncompatiblePair: the recipe refuses the networks.
        """
        if pair is not None:
            return self._stage(form, pair, seed, images)
        for name in ANYWHERE[:-1]:
            with contextlib.suppress(IncompatiblePair):
                return self._stage(form, PAIRS[name], seed, images)
        return self._stage(form, PAIRS[ANYWHERE[-1]], seed, images)

    def _stage(self, form: Form, pair: Pair, seed: int, images: int) -> Scene:
        recipe, labels = form.info.cls(**form.settings), torch.tensor(LABELS)
        torch.manual_seed(0)
        roles = self._trained(recipe, pair)
        taught_by = recipe.roles(pair).get("teacher")
        plain = self._fresh(taught_by.network).shape if taught_by else None
        proposal = Proposal(self._fresh(pair.student).shape, plain, len(LABELS))
        if reason := recipe.refusal(proposal):
            raise IncompatiblePair(reason)
        student = recipe.adapt(self._fresh(pair.student), roles)
        teacher = roles.get("teacher")
        context = Context(student.shape, teacher.shape if teacher else None, labels, roles)
        scene = Scene(recipe, student, roles, batch_of(recipe, torch.tensor(BATCH[:images])))
        known = recipe.before(context, scene.passing())
        torch.manual_seed(seed)
        recipe.build(replace(context, known=known, maybe_network=student))
        recipe.train()
        student.train()
        return scene

    def _trained(self, recipe: Recipe, pair: Pair) -> dict[str, Network]:
        """The networks of a recipe's roles, frozen; their own roles are made first."""
        networks = {}
        for name, role in recipe.roles(pair).items():
            helper = self.recipes.get(role.recipe).cls(**role.settings)
            fresh = self._fresh(role.network, role.draw)
            network = helper.adapt(fresh, self._trained(helper, pair))
            networks[name] = network.eval().requires_grad_(False)
        return networks

    def _fresh(self, name: str, draw: int = 0) -> Network:
        if (name, draw) not in self._drawn:
            torch.manual_seed(draw)
            self._drawn[name, draw] = create_network(name, classes=CLASSES)
        return copy.deepcopy(self._drawn[name, draw])


def batch_of(recipe: Recipe, index: Tensor) -> Batch:
    """Some images of a training set, in as many views as the recipe asks for."""
    draw, labels = torch.Generator().manual_seed(1), torch.tensor(LABELS)
    first, *views = (
        torch.randn(len(LABELS), 3, 32, 32, generator=draw)[index] for _ in range(recipe.views)
    )
    return Batch(first, labels[index], index, 0.0, tuple(views), class_count=CLASSES, draw=5)
