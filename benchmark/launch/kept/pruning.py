"""What of the folder of runs can go: only files of runs, only what nobody trains.

A run is claimed while its files are removed, so that nobody begins to train it meanwhile; a run
that another process holds, or may hold, is left alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError
from benchmark.launch.claims import NAME as CLAIM
from benchmark.launch.claims import Claims
from benchmark.launch.kept.listing import KeptRun
from benchmark.records.schema import RunSpec
from benchmark.training.keeping.names import FOLDER, SPEC

if TYPE_CHECKING:
    from benchmark.matrix.plan import Plan

NEEDLESS = "weights of a recorded run that no open cell of the choice builds on"
LABEL = "kdbench runs prune"


@dataclass(frozen=True)
class Needless:
    """Files of one run that can go.

    Attributes:
        run: whose.
        names: of the files in its folder.
        why: for a person.
    """

    run: KeptRun
    names: tuple[str, ...]
    why: str

    @property
    def size_bytes(self) -> int:
        """That are freed."""
        return sum(self.run.sizes[name] for name in self.names)

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "cell": self.run.cell,
            "folder": str(self.run.folder),
            "files": list(self.names),
            "bytes": self.size_bytes,
            "why": self.why,
        }


def needless(
    runs: Sequence[KeptRun],
    stale: Callable[[RunSpec], str | None],
    finished: Collection[str] = (),
    wanted: Collection[str] = (),
) -> list[Needless]:
    """What no open cell needs, by run.

    A half trained run is an open cell, unless it is stale: no command asks for it any more. What
    nothing is known of stays.

    Args:
        runs: all in the folder.
        stale: why a run is not that of today; None if it is.
        finished: identities of recorded runs whose weights may go, too, because the cells that are
            open are known: those that are not wanted.
        wanted: identities of the runs that open cells build on.
    """
    kept = {identity[:16] for identity in (*wanted, *_built_on(runs))}
    may_go = {identity[:16] for identity in finished} - kept
    found = []
    for run in runs:
        if run.holder is not None:
            continue
        reason = stale(run.spec) if run.spec is not None and not run.status else None
        if run.status == "ok" and run.checkpoints:
            found.append(Needless(run, run.checkpoints, "checkpoints of a finished run"))
        elif reason and run.checkpoints:
            why = f"half trained, and stale: its {reason} is not that of today"
            found.append(Needless(run, run.checkpoints, why))
        if run.pickles:
            why = "a checkpoint of an older version of kdbench, which nothing reads"
            found.append(Needless(run, run.pickles, why))
        if run.status == "ok" and run.weights and run.folder.name in may_go:
            found.append(Needless(run, run.weights, NEEDLESS))
        left = [name for name in run.sizes if not CLAIM.fullmatch(name)]
        if left in ([], [SPEC]):
            found.append(Needless(run, tuple(left), "a folder with nothing in it"))
    return found


def open_cells(plan: Plan) -> tuple[set[str], set[str]]:
    """What is known of the weights of a choice of cells.

    Args:
        plan: of the choice.

    Returns:
        Identities of the runs that have a result, and of those that runs without one build on.
    """
    finished = {identity for identity, known in plan.known.items() if known.has_result}
    unfinished = (run for run in plan.runs if run.identity not in finished)
    return finished, {one.identity for run in unfinished for one in run.family()}


def remove(root: Path, found: Iterable[Needless]) -> Iterator[tuple[Needless, int]]:
    """Remove files of runs.

    Args:
        root: the folder of runs.
        found: what to remove; all below the root.

    Yields:
        What was looked at, and the bytes that were freed: 0 where another process has begun to
        train the run.

    Raises:
        BenchmarkError: a folder cannot be written.
    """
    claims = Claims(lambda name: root / name)
    try:
        for one in found:
            yield one, _removed(root, one, claims)
    finally:
        claims.close()


def _removed(root: Path, one: Needless, claims: Claims) -> int:
    folder = one.run.folder
    if folder.parent != root or not FOLDER.fullmatch(folder.name) or folder.is_symlink():
        return 0
    if not folder.is_dir() or not claims.take(folder.name, LABEL):
        return 0
    try:
        freed = _unlinked(folder, one.names)
    except OSError as error:
        raise BenchmarkError(
            f"cannot remove files in {folder}: {error.strerror or error}. What was removed before "
            "is gone; look at the permissions, and repeat the command."
        ) from None
    finally:
        claims.release(folder.name)
    with suppress(OSError):  # it is not empty
        folder.rmdir()
    return freed


def _unlinked(folder: Path, names: Iterable[str]) -> int:
    """Remove plain files of a folder, which is opened first: it cannot become a link meanwhile.

    Raises:
        OSError: a file cannot be removed.
    """
    freed = 0
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name in names:
            with suppress(FileNotFoundError):
                state = os.stat(name, dir_fd=opened, follow_symlinks=False)
                if stat.S_ISREG(state.st_mode) and not CLAIM.fullmatch(name):
                    os.unlink(name, dir_fd=opened)
                    freed += state.st_size
    finally:
        os.close(opened)
    return freed


def _built_on(runs: Iterable[KeptRun]) -> Iterator[str]:
    """Identities of the runs that half trained ones build on."""
    for run in runs:
        if run.spec is not None and run.status != "ok":
            for role in run.spec.roles.values():
                yield role.identity
