"""The working folder of a run: its checkpoints while it trains, its weights when it is done.

Everything is written whole or not at all and sealed, and nothing is used whose seal is broken. The
folder is not part of the results: deleting it loses only the possibility to continue, and the
weights that later runs build on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from benchmark.files import probe
from benchmark.records.history import EpochRow, history_csv
from benchmark.training.keeping.checkpoint_files import CheckpointFiles
from benchmark.training.keeping.deployment import Deployment, parted
from benchmark.training.keeping.folders import WEIGHTS, RunFolders, WorkspaceError
from benchmark.training.keeping.heading import Damaged
from benchmark.training.keeping.sealed import digest_of, read_sealed, sealed
from benchmark.training.keeping.stand import Stand
from benchmark.training.precision import not_finite

KNOWN = "before"  # kind of a sealed file


@dataclass(frozen=True)
class Weights:
    """The weights of a finished run.

    Attributes:
        tensors: of the network, by their names in its state dict.
        digest: of the tensors.
        top1: accuracy in percent that was measured with them; None if that is not known.
        is_sealed: whether a seal stands for them; files of older versions have none.
        deployment: what a prediction needs beside them; None in files of older versions.
    """

    tensors: Mapping[str, Tensor]
    digest: str
    top1: float | None
    is_sealed: bool
    deployment: Deployment | None = None


@dataclass(frozen=True)
class Workspace:
    """The folder in which runs keep their state, one subfolder a run.

    Weights are filed by the digest that the run's record has of them: several folders of results,
    say of two precisions, can share one of runs, and weights without a record are nobody's.

    Args:
        root: e.g. ``runs/``.
    """

    root: Path

    @cached_property
    def folders(self) -> RunFolders:
        """The folders of the runs."""
        return RunFolders(self.root)

    @cached_property
    def checkpoints(self) -> CheckpointFiles:
        """The checkpoints of the runs."""
        return CheckpointFiles(self.folders)

    def folder(self, identity: str) -> Path:
        """Folder of one run."""
        return self.folders.of(identity)

    def check_writable(self) -> None:
        """Raises: WorkspaceError if nothing can be written there."""
        try:
            probe(self.root)
        except OSError as error:
            raise WorkspaceError(
                f"cannot write checkpoints to {self.root}: {error.strerror}.\n"
                "Choose another folder with --runs."
            ) from None

    def stands(self, identity: str, source: str) -> tuple[Stand, ...]:
        """Where a run can go on, see ``CheckpointFiles.stands``."""
        return self.checkpoints.stands(identity, source)

    # ------------------------------------------------------------------------------- weights

    def save_weights(
        self,
        identity: str,
        weights: Mapping[str, Tensor],
        *,
        recorded: str | None,
        top1: float | None = None,
        deployment: Deployment | None = None,
    ) -> None:
        """Keep the weights of a finished run for those that build on it, or use it.

        What was computed with older weights of it is forgotten.

        Args:
            identity: of the run.
            weights: by name; all finite.
            recorded: the digest that the run's record has, or will have, of its weights. These
                weights stand for it, also where the run was trained again for the weights alone
                and they differ in their last digits. None for a record without one.
            top1: accuracy in percent that was measured with them.
            deployment: what a prediction needs beside them.

        Raises:
            ValueError: a weight is not finite.
            WorkspaceError: they cannot be written.
        """
        if odd := not_finite(weights):
            raise ValueError(f"'{odd[0]}' of the weights is not finite")
        for known in self.folder(identity).glob(self._known(identity, "*").name):
            self.folders.remove(known)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        digest = digest_of(tensors)
        about = {"identity": identity, "recorded": recorded, "digest": digest, "top1": top1}
        if deployment is not None:
            about |= deployment.words()
            tensors |= deployment.tensors()
        self.folders.write(
            self.folders.weights_of(identity, recorded), sealed(WEIGHTS, about, tensors)
        )

    def has_weights(self, identity: str, recorded: str | None) -> bool:
        """Whether weights of a run are here, as far as the heading of their file tells.

        Args:
            identity: of the run.
            recorded: see ``save_weights``.
        """
        path = self.folders.weights_of(identity, recorded)
        heading = self.folders.heading(path, WEIGHTS)
        if heading is not None:
            return (heading.about.get("identity"), heading.about.get("recorded")) == (
                identity,
                recorded,
            )
        return recorded is None and unsealed_identity(path) == identity

    def holds(self, identity: str, digest: str | None) -> bool:
        """Whether the very weights with this digest are here, see ``RunFolders.holds``."""
        return self.folders.holds(identity, digest)

    def load_weights(self, identity: str, recorded: str | None) -> Weights:
        """Weights of a finished run, after all of them was checked.

        Args:
            identity: of the run.
            recorded: see ``save_weights``.

        Raises:
            WorkspaceError: they are not here, damaged, another run's, or not those of its record.
        """
        path = self.folders.weights_of(identity, recorded)
        try:
            return self._checked(path, identity, recorded)
        except (OSError, Damaged) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise WorkspaceError(
                f"no usable weights in {path}: {reason}.\n"
                "Delete the file and repeat the command to train them again."
            ) from None

    def write_history(self, identity: str, rows: Sequence[EpochRow]) -> str:
        """Write the run's ``history.csv``, one row an epoch; returns its text.

        Raises:
            WorkspaceError: it cannot be written.
        """
        text = history_csv(rows)
        self.folders.write(self.history_path(identity), text)
        return text

    def keep_traceback(self, identity: str, text: str) -> None:
        """Keep the whole traceback of how a run ended, beside its checkpoints; none if empty."""
        path = self.folders.traceback_of(identity)
        if text:
            self.folders.write(path, text)
        else:
            self.folders.remove(path)

    def history_path(self, identity: str) -> Path:
        """The file of a run's history."""
        return self.folder(identity) / "history.csv"

    def save_known(self, identity: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep what a recipe's ``before`` found with a run's network, beside its weights.

        Args:
            identity: of the run.
            key: digest of all that it was found with, the weights included.
            tensors: by name.
        """
        # Parts of one tensor are written apart, which safetensors asks for.
        own = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        content = sealed(KNOWN, {"identity": identity, "key": key}, own)
        self.folders.write(self._known(identity, key), content)

    def load_known(self, identity: str, key: str) -> dict[str, Tensor] | None:
        """What ``save_known`` kept; None if it is not here, or damaged."""
        try:
            heading, tensors = read_sealed(self._known(identity, key), KNOWN)
        except (OSError, Damaged):
            return None
        return tensors if dict(heading.about) == {"identity": identity, "key": key} else None

    def _known(self, identity: str, key: str) -> Path:
        return self.folder(identity) / f"before-{key[:16]}.safetensors"

    def _checked(self, path: Path, identity: str, recorded: str | None) -> Weights:
        """Raises: OSError, Damaged."""
        if recorded is None and unsealed_identity(path) == identity:
            tensors = _load_unsealed(path)
            return Weights(tensors, digest_of(tensors), None, False)
        heading, tensors = read_sealed(path, WEIGHTS)
        about: Mapping[str, Any] = heading.about
        if about.get("identity") != identity:
            raise Damaged("they are another run's")
        if about.get("recorded") != recorded:
            raise Damaged("they are not those that the run's record speaks of")
        own, deployment = parted(about, tensors)
        return Weights(own, digest_of(own), about.get("top1"), True, deployment)


def unsealed_identity(path: Path) -> str | None:
    """Whose weights a file of an older version says that it holds; None for all other files."""
    try:
        with safe_open(path, "pt") as file:
            words = file.metadata() or {}
    except (OSError, SafetensorError):
        return None
    return words.get("identity")


def _load_unsealed(path: Path) -> dict[str, Tensor]:
    """Raises: OSError, Damaged."""
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise Damaged(str(error)) from None
    if odd := not_finite(tensors):
        raise Damaged(f"'{odd[0]}' is not finite")
    return tensors
