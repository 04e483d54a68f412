"""What travels between the driver and a node: files as they are, in both directions.

To the node: recipe files of ``--path`` folders, weights that a user brought, weights of roles,
checkpoints. From it: what is written into a run's folder, as it is written. Files that are sealed
stay so, because their bytes are not touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from benchmark.errors import TrainingError, UsageError
from benchmark.files import write_whole
from benchmark.folders import given_folders
from benchmark.matrix.run import AnyRun, ImportedRun
from benchmark.work.train import GroupSpec

CODE_BYTES = 32 * 2**20  # recipes are a few kilobytes; more is a folder that was not meant


@dataclass(frozen=True)
class Changes:
    """What happened to the files of a folder.

    Attributes:
        written: new contents by path below the folder, in the order of writing.
        gone: paths of files that are no more.
    """

    written: Mapping[str, bytes]
    gone: tuple[str, ...] = ()

    def apply(self, folder: Path) -> None:
        """Let the same happen to another folder.

        Raises:
            OSError: a file cannot be written.
            TrainingError: a path does not lie in a subfolder of the folder.
        """
        for name in (*self.written, *self.gone):
            parts = PurePosixPath(name).parts
            if len(parts) != 2 or ".." in parts or name.startswith("/"):
                raise TrainingError(f"a node sent a file for '{name}', which is no run's folder")
        for name, content in self.written.items():
            write_whole(folder / name, content, durable=True)
        for name in self.gone:
            (folder / name).unlink(missing_ok=True)


@dataclass
class Mirror:
    """Sees what happens to the files in the subfolders of a folder.

    Args:
        folder: of runs.
    """

    folder: Path
    _known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = self._look()

    def changes(self) -> Changes:
        """What happened since the last call."""
        now = self._look()
        new = sorted((stamp, name) for name, stamp in now.items() if self._known.get(name) != stamp)
        written = {}
        for _, name in new:
            try:
                written[name] = (self.folder / name).read_bytes()
            except FileNotFoundError:  # replaced by a later one in this moment
                del now[name]
        gone = tuple(name for name in self._known if name not in now)
        self._known = now
        return Changes(written, gone)

    def _look(self) -> dict[str, tuple[int, int]]:
        """When each file was written, and its bytes."""
        found = {}
        for path in kept_files(self.folder.glob("*/*")):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[path.relative_to(self.folder).as_posix()] = status.st_mtime_ns, status.st_size
        return found


def kept_files(paths: Iterator[Path]) -> Iterator[Path]:
    """Those that belong to a run: nothing half written, and no claim, which counts where it is."""
    for path in paths:
        if not path.name.startswith((".", "claim-")) and path.is_file() and not path.is_symlink():
            yield path


def code_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """The Python files of the folders that a user names, numbered as ``unpacked`` expects them.

    Raises:
        UsageError: a folder does not exist, or holds far more than recipes.
    """
    files, total = {}, 0
    for number, folder in enumerate(given_folders(paths)):
        for parent, names, found in os.walk(folder):
            names[:] = sorted(n for n in names if not n.startswith((".", "__pycache__")))
            for name in sorted(found):
                path = Path(parent, name)
                if path.suffix != ".py" or not path.is_file():
                    continue
                content = path.read_bytes()
                total += len(content)
                if total > CODE_BYTES:
                    raise UsageError(
                        f"--path: {folder} holds more than {CODE_BYTES >> 20} MB of Python files, "
                        "all of which would travel to every node. Give a folder of recipes."
                    )
                files[f"{number}/{path.relative_to(folder).as_posix()}"] = content
    return files


def brought_files(group: GroupSpec) -> dict[str, Path]:
    """The files of weights that a user brought, by the names that ``moved`` gives them."""
    files = {f"{digest}-{path.name}": path for path, digest in group.teachers.values()}
    for member in group.members:
        if isinstance(member, ImportedRun):
            files[f"{member.digest}-{member.weights.name}"] = member.weights
    return files


def moved(group: GroupSpec, code: Path, brought: Path) -> GroupSpec:
    """The group as a place knows it that has its files elsewhere.

    Args:
        group: as it was described.
        code: folder of the numbered recipe folders.
        brought: folder of the files of weights.
    """

    def here(weights: Path, digest: str) -> Path:
        return brought / f"{digest}-{weights.name}"

    return replace(
        group,
        teachers={name: (here(*file), file[1]) for name, file in group.teachers.items()},
        members=tuple(
            replace(member, weights=here(member.weights, member.digest))
            if isinstance(member, ImportedRun)
            else member
            for member in group.members
        ),
        paths=tuple(sorted(code.iterdir(), key=lambda folder: int(folder.name))),
    )


def folders_of(runs: Sequence[AnyRun]) -> tuple[list[AnyRun], list[AnyRun]]:
    """The runs themselves, and all that they build on, each once."""
    own = {run.identity: run for run in runs}
    family = {member.identity: member for run in runs for member in run.family()}
    return list(own.values()), [run for name, run in family.items() if name not in own]


def unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
