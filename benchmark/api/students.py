"""The trained network of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.cards.card import Card
from benchmark.cards.catalogue import read_cards
from benchmark.errors import RecordError
from benchmark.folders import search_folders
from benchmark.networks.catalogue import create_network
from benchmark.networks.outputs import Network
from benchmark.recipe.contract import Recipe, RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.records.schema import IMPORTED, Record, RoleRecord
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.checkpoint import Workspace


def load_student(
    cell: str,
    *,
    results: str | Path = "results",
    runs: str | Path = "runs",
    paths: Sequence[str | Path] = (),
) -> Network:
    """The network that a run trained, frozen and in eval mode.

    It is called on images (B, 3, H, W) as it was trained on them: of the protocol's image size,
    with values in [0, 1] normalised by the card's ``mean`` and ``std``; its ``logits`` (B, K) are
    over the card's classes.

    Args:
        cell: e.g. ``cifar100/resnet20__resnet8/kd/seed0``, or the file of a record.
        results: folder of the records.
        runs: folder of checkpoints and weights; weights are kept where they were trained.
        paths: folders with the recipes and cards that the run used.

    Raises:
        RecordError: there is no such record or it is one of a run that failed; the recipe or the
            protocol has changed since; or the recipe predicts with layers of its own, which are
            not kept.
        WorkspaceError: the weights of the run, or of one that it builds on, are not there.
    """
    house = _House(
        Store(Path(results)),
        Workspace(Path(runs)),
        read_cards(search_folders("datasets", paths)),
        load_recipes(paths),
    )
    record = house.store.lookup(cell)
    network = house.network(record)
    if not house.predicts_by_itself(record, network):
        raise RecordError(
            f"the recipe '{record.spec.recipe}' of {cell} predicts with more than the network: "
            "with layers of its own, which are not kept when a training is over."
        )
    return network


@dataclass(frozen=True)
class _House:
    """What networks are rebuilt from."""

    store: Store
    workspace: Workspace
    cards: Catalogue[Card]
    recipes: Catalogue[RecipeInfo]

    def network(self, record: Record) -> Network:
        """Build a record's network anew and load its weights."""
        spec = record.spec
        if record.status != "ok":
            raise RecordError(f"the run of {self._cell(record)} has no network: {record.status}.")
        if spec.recipe == IMPORTED:
            raise RecordError(
                f"the weights of {spec.network} came from a file of one's own and are not kept: "
                "load them with benchmark.networks.weights.load_weights."
            )
        card = self.cards.get(spec.dataset)
        if card.revision != spec.data_revision:
            raise RecordError(
                f"{self._cell(record)} is of other data than the card's: run it again."
            )
        network = create_network(spec.network, classes=card.classes, image_size=self._size(record))
        if spec.protocol_values.get("pretrained"):
            network.expect(card.mean, card.std)
        network = self._recipe(record).adapt(network, _Roles(self, spec.roles))
        network.load_state_dict(self.workspace.load_weights(record.identity))
        return network.eval().requires_grad_(False)

    @torch.no_grad()
    def predicts_by_itself(self, record: Record, network: Network) -> bool:
        """Whether the recipe takes the network's own logits for its prediction."""
        outputs = network(torch.zeros(1, 3, *self._size(record)))
        try:
            return torch.equal(self._recipe(record).predict(outputs), outputs.logits)
        except AttributeError:  # it asks for a layer that its build() makes
            return False

    def of_role(self, role: RoleRecord) -> Record:
        """The record of a run that another builds on."""
        for record in self.store.all().records:
            if record.identity == role.identity:
                return record
        raise RecordError(
            f"there is no record of {role.network} ({role.recipe}) in {self.store.root}, from "
            "which the network is rebuilt."
        )

    def _recipe(self, record: Record) -> Recipe:
        info = self.recipes.get(record.spec.recipe)
        if info.version != record.spec.recipe_version:
            raise RecordError(
                f"{self._cell(record)} is of version {record.spec.recipe_version} of the recipe "
                f"'{info.name}', which is now {info.version}: run it again."
            )
        return info.cls(**record.spec.settings)

    def _size(self, record: Record) -> tuple[int, int]:
        """Height and width that the network saw."""
        size = record.spec.protocol_values.get("image_size")
        size = size or self.cards.get(record.spec.dataset).image_size
        return size, size

    def _cell(self, record: Record) -> Path:
        return self.store.path_of(record.spec)


@dataclass(frozen=True)
class _Roles(Mapping[str, Network]):
    """The networks that a run builds on; each is loaded only if the recipe asks for it."""

    house: _House
    records: Mapping[str, RoleRecord]

    def __getitem__(self, name: str) -> Network:
        return self.house.network(self.house.of_role(self.records[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)
