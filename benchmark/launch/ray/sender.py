"""What a group needs of this machine's files, put into the object store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.launch.launcher import Work
from benchmark.launch.ray import parcels
from benchmark.matrix.run import AnyRun
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.registry import Catalogue
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.train import GroupSpec


@dataclass
class Sender:
    """Puts files into the object store, those that do not change once.

    Args:
        runs: folder of checkpoints and weights.
    """

    runs: Path
    _stored: dict[Path, tuple[tuple[int, int], Any]] = field(default_factory=dict, init=False)
    _code: list[tuple[str, Any]] | None = field(default=None, init=False)
    _recipes: dict[tuple[Path, ...], Catalogue[RecipeInfo]] = field(
        default_factory=dict, init=False
    )

    def files(self, work: Work) -> dict[str, list[tuple[str, Any]]]:
        """References to the contents of all files that a piece of work needs, by folder."""
        import ray

        if not isinstance(work, GroupSpec):
            return {"runs": []}
        if self._code is None:
            self._code = [(n, ray.put(c)) for n, c in parcels.code_files(work.paths).items()]
        brought = parcels.brought_files(work)
        return {
            "code": self._code,
            "brought": [(name, self._put(path)) for name, path in brought.items()],
            "runs": [
                (path.relative_to(self.runs).as_posix(), self._put(path, once=once))
                for path, once in self._of_runs(work)
            ],
        }

    def _of_runs(self, group: GroupSpec) -> list[tuple[Path, bool]]:
        """The files of the group's runs, which change, and of what they build on, which do not."""
        own, roles = parcels.folders_of(self._resolved(group))
        workspace = Workspace(self.runs)
        return [
            (path, once)
            for runs, once in ((own, False), (roles, True))
            for run in runs
            for path in parcels.kept_files(workspace.folder(run.identity).glob("*"))
        ]

    def _resolved(self, group: GroupSpec) -> list[AnyRun]:
        if group.paths not in self._recipes:
            self._recipes[group.paths] = load_recipes(group.paths)
        return group.resolve(self._recipes[group.paths])

    def _put(self, path: Path, *, once: bool = True) -> Any:
        """A reference to a file's content in the object store."""
        import ray

        status = path.stat()
        stamp = status.st_mtime_ns, status.st_size
        known, reference = self._stored.get(path, (None, None))
        if known != stamp:
            reference = ray.put(path.read_bytes())
            if once:
                self._stored[path] = stamp, reference
        return reference
