"""The folders of runs below one root: what is written there, and what files say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.files import Content, write_whole
from benchmark.records.canonical import identity_of
from benchmark.records.schema import RunSpec
from benchmark.training.keeping.heading import Damaged, Heading, read_heading
from benchmark.training.keeping.names import SPEC, TRACEBACK

WEIGHTS = "weights"  # kind of a sealed file


class WorkspaceError(BenchmarkError):
    """The folder of checkpoints cannot be written or read."""


@dataclass(frozen=True)
class RunFolders:
    """One subfolder a run.

    Args:
        root: e.g. ``runs/``.
    """

    root: Path
    _headings: dict[Path, tuple[tuple[int, int, int], Heading | None]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def of(self, identity: str) -> Path:
        """Folder of one run."""
        return self.root / identity[:16]

    def traceback_of(self, identity: str) -> Path:
        """Where the whole traceback of a run is kept if it ended with an error."""
        return self.of(identity) / TRACEBACK

    def weights_of(self, identity: str, recorded: str | None) -> Path:
        """Where the weights of a run are kept; ``recorded`` as in ``Workspace.save_weights``."""
        name = "weights" if recorded is None else f"weights-{recorded[:16]}"
        return self.of(identity) / f"{name}.safetensors"

    def holds(self, identity: str, digest: str | None) -> bool:
        """Whether the very weights with this digest are here, as their file's heading tells."""
        heading = self.heading(self.weights_of(identity, digest), WEIGHTS)
        return heading is not None and digest is not None and heading.about["digest"] == digest

    def keep_spec(self, spec: RunSpec) -> None:
        """Let whoever looks into the folder of a run see what it is of, before it has a record.

        Raises:
            WorkspaceError: it cannot be written.
        """
        path = self.of(identity_of(spec)) / SPEC
        if not path.exists():
            self.write(path, spec.model_dump_json(indent=2) + "\n")

    def write(self, path: Path, content: Content | str | Sequence[Content]) -> None:
        """Put a file in its place, whole, and on the disk.

        Raises:
            WorkspaceError: it cannot be written; what was there stays.
        """
        try:
            write_whole(path, content, durable=True)
        except OSError as error:
            raise WorkspaceError(
                f"cannot write {path}: {error.strerror or error}.\n"
                "Free some space or choose another folder with --runs; what is recorded stays."
            ) from error

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there.

        Raises:
            WorkspaceError: it cannot be removed.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"cannot remove {path}: {error.strerror or error}.") from error

    def heading(self, path: Path, kind: str) -> Heading | None:
        """What a sealed file says of itself, None if there is none; its seal is not checked.

        It is read once as long as the file stays the same.
        """
        try:
            status = path.stat()
        except OSError:
            return None
        known, now = self._headings.get(path), (status.st_mtime_ns, status.st_size, status.st_ino)
        if known is not None and known[0] == now:
            return known[1]
        try:
            heading = read_heading(path, kind)
        except (OSError, Damaged):
            heading = None
        self._headings[path] = now, heading
        return heading
