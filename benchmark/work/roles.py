"""The trained networks that runs build on, loaded at the place where a group trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.data.splits import DataSet
from benchmark.matrix.run import AnyRun, ImportedRun, Run
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network
from benchmark.networks.weights import load_weights
from benchmark.training.job import Job, Setting, TaughtBy, make_network
from benchmark.training.keeping.workspace import Workspace


class Roles:
    """The networks of roles, each loaded once a group.

    Nothing is built on weights that are damaged, another run's, or not those of the run's record.

    Args:
        workspace: where weights are kept.
        data: the data set.
        recorded: digests of weights by identity, as the records of the runs have them; None for a
            record that is older than digests.
    """

    def __init__(
        self, workspace: Workspace, data: DataSet, recorded: Mapping[str, str | None]
    ) -> None:
        self.workspace, self.data, self.recorded = workspace, data, recorded
        self.unsealed: set[Path] = set()
        self._loaded: dict[str, Network] = {}
        self._taught_by: dict[str, TaughtBy] = {}

    def job(self, run: Run) -> Job:
        """What is to be trained for a run."""
        roles = {name: self.network(role) for name, role in run.roles.items()}
        taught_by = {
            name: self._taught_by[role.identity]
            for name, role in run.roles.items()
            if role.identity in self._taught_by
        }
        return Job(
            identity=run.identity,
            label=run.label,
            network=run.network,
            recipe=run.make_recipe(),
            protocol=run.protocol,
            seed=run.seed,
            source=run.source,
            roles=roles,
            role_identities={name: role.identity for name, role in run.roles.items()},
            taught_by=taught_by,
        )

    def network(self, run: AnyRun) -> Network:
        """The trained network of a run, frozen, in eval mode.

        Raises:
            WorkspaceError: its weights are not here, damaged, or not those of its record.
            NetworkError: weights that were brought do not fit.
        """
        if run.identity not in self._loaded:
            network = self._load(run)
            self._loaded[run.identity] = network.eval().requires_grad_(False)
        return self._loaded[run.identity]

    def _load(self, run: AnyRun) -> Network:
        if isinstance(run, ImportedRun):
            return brought_network(run)
        if not isinstance(run, Run):
            raise TypeError(f"no way to load the network of a {type(run).__name__}")
        setting = Setting(self.data.pictures, self.data.train.labels)
        network = make_network(self.job(run), setting, load=True)
        weights = self.workspace.load_weights(run.identity, self.recorded.get(run.identity))
        network.load_state_dict(weights.tensors)
        self._taught_by[run.identity] = TaughtBy(weights.digest, weights.top1)
        if not weights.is_sealed:
            self.unsealed.add(self.workspace.folder(run.identity))
        return network


def brought_network(run: ImportedRun) -> Network:
    """A network with the weights that a user brought.

    Raises:
        NetworkError: they cannot be read, or are those of another network or class count.
    """
    pictures = run.pictures
    network = create_network(run.network, classes=pictures.classes, image_size=pictures.shape)
    load_weights(network, run.weights)
    return network
