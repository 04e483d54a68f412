"""The checkpoints of runs as files: named by where they stand, sealed, the last two kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.records.schema import Engine
from benchmark.training.keeping.folders import RunFolders
from benchmark.training.keeping.heading import Damaged, Outdated
from benchmark.training.keeping.names import CHECKPOINT_NAME, PICKLE
from benchmark.training.keeping.nested import pack, unpack
from benchmark.training.keeping.sealed import read_sealed, sealed
from benchmark.training.keeping.stand import BEGINNING, Stand

FORMAT = 4  # raised when what a checkpoint holds changes; older ones are started over
KIND = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A training as it was at one place.

    Attributes:
        stand: the place.
        source: sha256 of the recipe's source.
        engine: that brought it there.
        state: of learner and progress.
    """

    stand: Stand
    source: str
    engine: Engine
    state: Mapping[str, Any]


class CheckpointFiles:
    """The checkpoints of all runs.

    Args:
        folders: of the runs.
    """

    def __init__(self, folders: RunFolders) -> None:
        self.folders = folders

    def write(self, identity: str, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint and keep the one before it; all others of the run are removed.

        Those ahead of it too: the run went back behind them, for others of its group.

        Raises:
            WorkspaceError: it cannot be written, or an older one not removed.
            TypeError: the state holds what a checkpoint cannot.
        """
        stand = checkpoint.stand
        skeleton, tensors = pack(dict(checkpoint.state))
        about = {
            "format": FORMAT,
            "identity": identity,
            "source": checkpoint.source,
            "stand": [stand.epoch, stand.step],
            "engine": checkpoint.engine.model_dump(mode="json"),
            "state": skeleton,
        }
        path = self.path(identity, stand)
        self.folders.write(path, sealed(KIND, about, tensors))
        kept = [stand, *(place for place in self.places(identity) if place < stand)][:2]
        for place in self.places(identity):
            if place not in kept:
                self.folders.remove(self.path(identity, place))
        self.folders.remove(self._pickle(identity))
        return path

    def read(self, identity: str, stand: Stand) -> Checkpoint:
        """A run's checkpoint at one place.

        Raises:
            Damaged: there is none, or it is not what was written; ``Outdated`` if it is whole, but
                of another version. Says why.
        """
        try:
            heading, tensors = read_sealed(self.path(identity, stand), KIND)
        except OSError as error:
            raise Damaged(f"it cannot be read: {error.strerror or error}") from None
        about = heading.about
        if about.get("format") != FORMAT:
            raise Outdated(f"it has the form {about.get('format')} of another version of kdbench")
        try:
            if about["identity"] != identity or about["stand"] != [stand.epoch, stand.step]:
                raise Damaged("it is another run's, or of another place in the training")
            state = unpack(about["state"], tensors)
            return Checkpoint(stand, about["source"], Engine(**about["engine"]), state)
        except (KeyError, ValueError, TypeError, RuntimeError, ValidationError) as error:
            raise Damaged(f"what it holds cannot be read: {error}") from None

    def newest(self, identity: str) -> Checkpoint | None:
        """The newest checkpoint that is whole; None if there is none."""
        for stand in self.places(identity):
            try:
                return self.read(identity, stand)
            except Damaged:
                continue
        return None

    def stands(self, identity: str, source: str) -> tuple[Stand, ...]:
        """Where a run can go on, the newest place first, as the headings of its checkpoints say.

        That is its beginning alone if there is none of this recipe source. Whether they are whole
        is found out when they are used.
        """
        found = []
        for stand in self.places(identity):
            heading = self.folders.heading(self.path(identity, stand), KIND)
            about = heading.about if heading else {}
            words = (about.get("format"), about.get("identity"), about.get("source"))
            if words == (FORMAT, identity, source):
                found.append(stand)
        return tuple(found) or (BEGINNING,)

    def drop(self, identity: str) -> None:
        """Forget a run's checkpoints, once it is recorded or must start over.

        Raises:
            WorkspaceError: one cannot be removed.
        """
        for stand in self.places(identity):
            self.folders.remove(self.path(identity, stand))
        self.folders.remove(self._pickle(identity))

    def path(self, identity: str, stand: Stand) -> Path:
        """The file of a checkpoint."""
        name = f"checkpoint-{stand.epoch:04d}-{stand.step:06d}.safetensors"
        return self.folders.of(identity) / name

    def places(self, identity: str) -> list[Stand]:
        """The places that there are files of, the newest first; their content is not looked at."""
        try:
            names = [path.name for path in self.folders.of(identity).iterdir()]
        except OSError:
            return []
        found = (CHECKPOINT_NAME.fullmatch(name) for name in names)
        return sorted((Stand(int(n[1]), int(n[2])) for n in found if n), reverse=True)

    def has_pickle(self, identity: str) -> bool:
        """Whether a version of kdbench that wrote pickles left a checkpoint."""
        return self._pickle(identity).exists()

    def _pickle(self, identity: str) -> Path:
        return self.folders.of(identity) / PICKLE
