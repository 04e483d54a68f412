"""The working folder of a run: its checkpoint while it trains, its weights when it is done.

Everything is written whole or not at all. The folder is not part of the results: deleting it loses
only the possibility to continue, and the weights that later runs build on.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.files import write_whole
from benchmark.records.history import EpochRow, history_csv

FORMAT = 3  # raised when what a checkpoint holds changes; older ones are started over


class WorkspaceError(BenchmarkError):
    """The folder of checkpoints cannot be written or read."""


@dataclass(frozen=True)
class Workspace:
    """The folder in which runs keep their state, one subfolder a run.

    Args:
        root: e.g. ``runs/``.
    """

    root: Path

    def folder(self, identity: str) -> Path:
        """Folder of one run."""
        return self.root / identity[:16]

    def check_writable(self) -> None:
        """Raises: WorkspaceError if nothing can be written there."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise WorkspaceError(
                f"cannot write checkpoints to {self.root}: {error.strerror}.\n"
                "Choose another folder with --runs."
            ) from None

    def save_checkpoint(self, identity: str, state: Mapping[str, Any]) -> None:
        """Replace the run's checkpoint."""
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "identity": identity, **state}, buffer)
        self._write(self.folder(identity) / "checkpoint.pt", buffer.getbuffer())

    def load_checkpoint(self, identity: str) -> dict[str, Any] | None:
        """The run's checkpoint; None if there is none, or if it cannot be read or is another's."""
        path = self.folder(identity) / "checkpoint.pt"
        try:
            state: dict[str, Any] = torch.load(
                path, map_location="cpu", weights_only=True, mmap=True
            )
        except FileNotFoundError:
            return None
        except Exception:
            return None
        fits = isinstance(state, dict) and state.get("format") == FORMAT
        return state if fits and state.get("identity") == identity else None

    def epochs_done(self, identity: str, source: str) -> int:
        """Epochs that can be continued from, 0 without a checkpoint of this recipe source."""
        state = self.load_checkpoint(identity)
        return int(state["progress"]["epochs"]) if state and state["source"] == source else 0

    def drop_checkpoint(self, identity: str) -> None:
        """Forget the checkpoint, once its run is recorded or must start over."""
        (self.folder(identity) / "checkpoint.pt").unlink(missing_ok=True)

    def save_weights(self, identity: str, weights: Mapping[str, Tensor]) -> None:
        """Keep the weights of a finished run for those that build on it.

        What was computed with older weights of it is forgotten.
        """
        for known in self.folder(identity).glob(self._known(identity, "*").name):
            known.unlink(missing_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        content = save(tensors, metadata={"identity": identity})
        self._write(self.folder(identity) / "weights.safetensors", content)

    def has_weights(self, identity: str) -> bool:
        """Whether the weights of a finished run are here and can be read."""
        try:
            self.load_weights(identity)
        except WorkspaceError:
            return False
        return True

    def load_weights(self, identity: str) -> dict[str, Tensor]:
        """Weights of a finished run.

        Raises:
            WorkspaceError: they are not here, or damaged.
        """
        path = self.folder(identity) / "weights.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise WorkspaceError(
                f"no usable weights in {path}: {error}.\n"
                f"Delete {path.parent} and repeat the command to train them again."
            ) from None

    def write_history(self, identity: str, rows: Sequence[EpochRow]) -> str:
        """Write the run's ``history.csv``, one row an epoch; returns its text."""
        text = history_csv(rows)
        self._write(self.folder(identity) / "history.csv", text.encode())
        return text

    def save_known(self, identity: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep what a recipe's ``before`` found with a run's network, beside its weights."""
        # Parts of one tensor are written apart, which safetensors asks for.
        content = save({name: tensor.contiguous().clone() for name, tensor in tensors.items()})
        self._write(self._known(identity, key), content)

    def load_known(self, identity: str, key: str) -> dict[str, Tensor] | None:
        """What ``save_known`` kept; None if it is not here, or damaged."""
        try:
            return load_file(self._known(identity, key))
        except (OSError, SafetensorError):
            return None

    def _known(self, identity: str, key: str) -> Path:
        return self.folder(identity) / f"before-{key}.safetensors"

    @staticmethod
    def _write(path: Path, content: bytes | memoryview) -> None:
        try:
            write_whole(path, content, durable=False)
        except OSError as error:
            raise WorkspaceError(
                f"cannot write {path}: {error.strerror}.\n"
                "Free some space or choose another folder with --runs; what is recorded stays."
            ) from None
