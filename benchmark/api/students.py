"""The trained network of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.cards.card import Card
from benchmark.catalogues.today import current
from benchmark.data.pictures import Pictures
from benchmark.errors import RecordError
from benchmark.folders import cache_folder
from benchmark.layouts.catalogue import known_cards
from benchmark.networks.outputs import Network
from benchmark.recipe.contract import Recipe, RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.records.schema import IMPORTED, Record, RoleRecord
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.reports.board.staleness import Current
from benchmark.training.job import Job, Setting, make_network
from benchmark.training.keeping.workspace import Workspace


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
        cell: e.g. ``sketchbirds/resnet14__resnet8/kd/seed0``, or the file of a record.
        results: folder of the records.
        runs: folder of checkpoints and weights; weights are kept where they were trained.
        paths: folders with the recipes and cards that the run used.

    Raises:
        RecordError: there is no such record, it is one of a run that failed, or it is stale; or
            the recipe predicts with layers of its own, which are not kept.
        WorkspaceError: the weights of the run, or of one that it builds on, are not there.
    """
    house = _House(
        Store(Path(results)),
        Workspace(Path(runs)),
        known_cards(paths),
        load_recipes(paths),
        current([Path(path) for path in paths], cache_folder()),
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
    today: Current

    def network(self, record: Record) -> Network:
        """Build a record's network anew and load its weights."""
        job = self._job(record)
        setting = Setting(self._pictures(record), torch.empty(0, dtype=torch.int64))
        with torch.random.fork_rng():  # the seed of the weights that are replaced here
            network = make_network(job, setting, load=True)
        weights = self.workspace.load_weights(record.identity, record.weights)
        network.load_state_dict(weights.tensors)
        return network.eval().requires_grad_(False)

    @torch.no_grad()
    def predicts_by_itself(self, record: Record, network: Network) -> bool:
        """Whether the recipe takes the network's own logits for its prediction."""
        outputs = network(torch.zeros(1, 3, *self._pictures(record).shape))
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

    def _job(self, record: Record) -> Job:
        """The training as it was, if it would be the same today."""
        spec, where = record.spec, self.store.path_of(record.spec)
        if record.status != "ok":
            raise RecordError(f"the run of {where} has no network: {record.status}.")
        if spec.recipe == IMPORTED:
            raise RecordError(
                f"the weights of {spec.network} came from a file of one's own and are not kept: "
                "load them with benchmark.networks.weights.load_weights."
            )
        if reason := self.today.reason(spec):
            raise RecordError(
                f"{where} is stale ({reason}): its network is not today's. Run again."
            )
        return Job(
            identity=record.identity,
            label=spec.recipe,
            network=spec.network,
            recipe=self._recipe(record),
            protocol=self.cards.get(spec.dataset).protocol(spec.protocol),
            seed=spec.seed,
            source=record.recipe_source,
            roles=_Roles(self, spec.roles),
        )

    def _recipe(self, record: Record) -> Recipe:
        return self.recipes.get(record.spec.recipe).cls(**record.spec.settings)

    def _pictures(self, record: Record) -> Pictures:
        """What the network saw."""
        card = self.cards.get(record.spec.dataset)
        return Pictures.of(card, card.protocol(record.spec.protocol))


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
