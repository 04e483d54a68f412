"""The trained network of a record, rebuilt from the file of its weights alone.

What a run built on gave its network a form, and its values are in the file: so the networks of its
roles are made without their weights, and need not be there. Whether the form is that of then is
seen by what the network says, see ``benchmark.training.keeping.deployment``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.cards.card import Card
from benchmark.data.loaders.batches import stable_seed
from benchmark.data.pictures import Pictures
from benchmark.errors import RecordError, first_line
from benchmark.matrix.recorded import run_of
from benchmark.matrix.run import AnyRun, ImportedRun, Run
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.contract import Recipe, RecipeInfo
from benchmark.recipe.pair import Pair
from benchmark.records.places import place_of
from benchmark.records.schema import IMPORTED, Record
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.deployed import as_deployed, shown
from benchmark.training.job import Job, Setting, context_of, make_network
from benchmark.training.keeping.deployment import Deployment, Legend
from benchmark.training.keeping.folders import WorkspaceError
from benchmark.training.keeping.workspace import Weights, Workspace
from benchmark.training.walls.randomness import seed_all
from benchmark.training.walls.surroundings import unchanged
from benchmark.work.roles import brought_network

MISFITS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError)


class WithRecipe(Network):
    """A network with the layers of its recipe: its logits are the recipe's prediction.

    Args:
        network: as it was trained.
        recipe: built, with what stays at deployment alone.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
        self.embedding_dim, self.stage_shapes = network.embedding_dim, network.stage_shapes
        self.has_stem, self.signed_maps = network.has_stem, network.signed_maps
        self.signed_features = network.signed_features
        self.no_class_maps = network.no_class_maps

    @property
    def classifier(self) -> nn.Linear:
        """The network's own, which is not all that makes the logits."""
        return self.network.classifier

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Of the network."""
        return self.network.feature_shape

    def forward(self, images: Tensor, *, maps: bool = False, class_maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W) as the recipe predicts."""
        outputs: Outputs = self.network(images, maps=maps, class_maps=class_maps)
        return replace(outputs, logits=self.recipe.predict(outputs.float()))


@dataclass(frozen=True)
class Student:
    """A trained network, with what is known of it.

    Attributes:
        cell: the record's place in its folder.
        record: of the run that trained it.
        run: as it would be trained today.
        network: its ``logits`` are the prediction that was recorded; frozen, in eval mode.
        legend: what the weights say of themselves; None in those of older versions.
    """

    cell: str
    record: Record
    run: AnyRun
    network: Network
    legend: Legend | None

    @property
    def pictures(self) -> Pictures:
        """What it was shown."""
        return self.run.pictures

    @property
    def label(self) -> str:
        """For a person."""
        return f"{self.run.label} ({self.run.card.title}, seed {self.record.spec.seed})"

    @property
    def class_names(self) -> tuple[str, ...]:
        """By label; numbers where the weights are of a version that kept no names."""
        if self.legend is not None:
            return self.legend.class_names
        return tuple(str(label) for label in range(self.pictures.classes))


@dataclass(frozen=True)
class Rebuilder:
    """Rebuilds the networks of records.

    Attributes:
        store: of the records.
        workspace: where weights are kept.
        cards: the data sets of today.
        recipes: those of today.
        teachers: files of weights that were brought, by network, with their sha256.
    """

    store: Store
    workspace: Workspace
    cards: Catalogue[Card]
    recipes: Catalogue[RecipeInfo]
    teachers: Mapping[str, tuple[Path, str]] = field(default_factory=dict)

    def student(self, cell: str) -> Student:
        """The trained network of a cell.

        Args:
            cell: as ``Store.lookup`` takes it.

        Raises:
            RecordError: there is no such record, it has no result, or its network is not today's.
            WorkspaceError: its weights are not here, or not those of the record.
        """
        record = self.store.lookup(cell)
        where = place_of(record.spec).with_suffix("").as_posix()
        if record.status != "ok":
            raise RecordError(f"the run of {where} has no network: {record.status}.")
        run = run_of(record, self.cards, self.recipes, self._teachers(record))
        network, legend = self.rebuilt(run, record)
        return Student(where, record, run, network, legend)

    def rebuilt(self, run: AnyRun, record: Record) -> tuple[Network, Legend | None]:
        """The trained network of a run and its record, and what its weights say of themselves."""
        with unchanged():  # weights are drawn that are replaced, and recipes are asked
            network, legend = self._rebuilt(run, record)
        return network.eval().requires_grad_(False), legend

    def _rebuilt(self, run: AnyRun, record: Record) -> tuple[Network, Legend | None]:
        if isinstance(run, ImportedRun):
            return brought_network(run), None
        if not isinstance(run, Run):
            raise TypeError(f"no way to rebuild the network of a {type(run).__name__}")
        weights = self._weights(run, record)
        form = Form(run)
        try:
            network = form.network
            network.load_state_dict(weights.tensors)
            if weights.deployment is None:
                return _alone(form), None
            if weights.deployment.layers:
                network = WithRecipe(network, form.recipe_with(weights.deployment.layers))
            fault = _fault(network.eval(), run, weights.deployment)
        except MISFITS as error:
            fault = first_line(error)
        if fault is not None or weights.deployment is None:
            raise RecordError(
                f"the network of {place_of(run.spec).with_suffix('')} cannot be rebuilt from its "
                f"weights: {fault}.\nRebuild it with the packages and the recipe that its record "
                "names (kdbench show), or train it again."
            )
        return network, weights.deployment.legend

    def _weights(self, run: Run, record: Record) -> Weights:
        try:
            return self.workspace.load_weights(run.identity, record.weights)
        except WorkspaceError as error:
            raise WorkspaceError(
                f"{first_line(error)}\nWeights stay where they were trained: name that folder "
                f"with --runs. Else train it{_again(run)}"
            ) from None

    def _teachers(self, record: Record) -> Mapping[str, tuple[Path, str]]:
        """Files of weights that the run builds on; those that only give a form may be gone."""
        named = {
            role.identity: role.network
            for role in record.spec.roles.values()
            if role.recipe == IMPORTED and role.network not in self.teachers
        }
        if not named:
            return self.teachers
        digests = {
            one.spec.network: (Path("weights that were brought"), one.spec.settings["sha256"])
            for one in self.store.all().records
            if one.identity in named
        }
        return {**digests, **self.teachers}


@dataclass(frozen=True)
class Form:
    """A run's network and recipe by form: weights are as they are drawn."""

    run: Run

    @cached_property
    def job(self) -> Job:
        """What was trained."""
        run = self.run
        return Job(
            identity=run.identity,
            label=run.label,
            network=run.network,
            recipe=run.make_recipe(),
            protocol=run.protocol,
            seed=run.seed,
            roles=_Forms(run.roles),
        )

    @cached_property
    def setting(self) -> Setting:
        """As many labels as there were, of every class: forms follow from their number."""
        card = self.run.card
        images = round(card.splits["train"] * (1 - self.run.protocol.validation))
        return Setting(self.run.pictures, torch.arange(images) % card.classes)

    @cached_property
    def network(self) -> Network:
        """As its recipe wants it."""
        return make_network(self.job, self.setting, load=True)

    def recipe_with(self, layers: Mapping[str, Tensor]) -> Recipe:
        """The recipe with the layers that stay at deployment, and no other."""
        recipe = self.job.recipe
        recipe.build(context_of(self.job, self.setting, self.network))
        return as_deployed(recipe, layers)


@dataclass(frozen=True)
class _Forms(Mapping[str, Network]):
    """The networks that a run builds on, by form; each is made only if the recipe asks for it."""

    runs: Mapping[str, AnyRun]

    def __getitem__(self, name: str) -> Network:
        run = self.runs[name]
        if isinstance(run, Run):
            return Form(run).network.eval().requires_grad_(False)
        pictures = run.pictures
        return create_network(run.network, classes=pictures.classes, image_size=pictures.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)


@torch.no_grad()
def _fault(network: Network, run: Run, deployment: Deployment) -> str | None:
    """Why a network is not the one whose weights were kept; None if it is."""
    seed_all(stable_seed(run.seed, "predict", 0))
    size = deployment.legend.image_size
    if deployment.differs(network(shown((size, size))).logits):
        return "it says something else than it did when its training was over"
    return None


@torch.no_grad()
def _alone(form: Form) -> Network:
    """A network from weights of an older version, which kept nothing beside it.

    Raises:
        RecordError: its recipe predicts with layers of its own.
    """
    network, run = form.network.eval(), form.run
    outputs = network(shown(run.pictures.shape))
    try:
        if torch.equal(form.job.recipe.predict(outputs), outputs.logits):
            return network
    except AttributeError:  # it asks for a layer that its build() makes
        pass
    raise RecordError(
        f"the weights of {place_of(run.spec).with_suffix('')} are of an older version of kdbench, "
        f"which kept the network alone: the layers with which the recipe '{run.recipe.name}' "
        f"predicts are lacking.\nTrain it{_again(run)}"
    )


def _again(run: Run) -> str:
    """How a run that is recorded is trained for its weights."""
    is_student = run.network == run.asked.pair.student or run.roles
    pair = run.asked.pair if is_student else Pair(run.network, run.network)
    words = [
        *("kdbench", "run", "--dataset", run.card.name),
        *("--pair", str(pair), "--recipe", run.recipe_label),
        *("--seeds", f"{run.asked.seed},"),
    ]
    if run.protocol.name != run.card.default_protocol.name:
        words += ["--protocol", run.protocol.name]
    return (
        ", with --own if its record came with a clone, else with other folders for --results and "
        f"--runs:\n  {shlex.join(words)}"
    )
