"""A run trained again in a folder of its own, with what it builds on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import TrainingError
from benchmark.events import Listener
from benchmark.matrix.plan import recorded_weights
from benchmark.matrix.run import AnyRun, Run
from benchmark.recipe.contract import RecipeInfo
from benchmark.records.attestations import measured
from benchmark.records.schema import Record
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.ending import Failed, Finished
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.environment import environment
from benchmark.work.place import Place
from benchmark.work.recording import Recorder
from benchmark.work.train import GroupSpec, train_group


@dataclass
class Grounds:
    """What a run that is trained again is compared with, and where.

    Attributes:
        store: of the records.
        place: device, and the folder of runs with the weights.
        teachers: files of teacher weights by network, with their sha256.
        paths: folders with further recipes.
        listener: hears of the progress.
    """

    store: Store
    place: Place
    teachers: Mapping[str, tuple[Path, str]]
    paths: tuple[Path, ...]
    listener: Listener


class Scratch:
    """A folder in which a run is trained again, with all that it builds on.

    Args:
        grounds: whose records and weights are used.
        folder: empty.
        recipes: other ones than those of today.
    """

    def __init__(
        self,
        grounds: Grounds,
        folder: Path,
        recipes: Catalogue[RecipeInfo] | None = None,
    ) -> None:
        self.grounds = grounds
        self.store, self.workspace = Store(folder / "results"), Workspace(folder / "runs")
        self.place = replace(grounds.place, workspace=self.workspace)
        if recipes is not None:
            self.place = replace(self.place, _recipes={grounds.paths: recipes})
        self.recorder = Recorder(self.store, self.workspace)

    def train(self, run: Run) -> tuple[Record | Failed, bool]:
        """Train a run again.

        Returns:
            Its record, or how it failed; and whether what it builds on came out as it is recorded,
            as far as that was trained again.
        """
        same = True
        done: set[str] = set()
        for member in run.family():
            if member.identity in done or (member is not run and self._brings(run, member)):
                continue
            done.add(member.identity)
            again = self._trained(member)
            if member is run or isinstance(again, Failed):
                return again, same
            known = self.grounds.store.find(member.spec)
            if known is not None and member.has_source(known.recipe_source):
                same = same and measured(known) == measured(again)
        raise ValueError("the family of a run ends with the run itself")

    def _trained(self, run: AnyRun) -> Record | Failed:
        grounds = self.grounds
        group = GroupSpec.of(
            [run],
            teachers=grounds.teachers,
            paths=grounds.paths,
            recorded=recorded_weights(run.family(), self.store),
        )
        [ending] = train_group(group, self.place, grounds.listener)
        if isinstance(ending, Failed):
            return ending
        if not isinstance(ending, Finished):
            raise TrainingError(f"'{run.label}' was not trained to its end: {ending}.")
        self.recorder.record(run, ending, environment(self.place.accelerator))
        record = self.store.find(run.spec)
        if record is None:
            raise TrainingError(f"'{run.label}' left no record.")
        return record

    def _brings(self, student: Run, role: AnyRun) -> bool:
        """Take a role's weights from the folder of runs, if they are those that taught."""
        here, known = self.grounds.place.workspace, self.grounds.store.find(role.spec)
        if not isinstance(role, Run) or known is None or known.status != "ok":
            return False
        if not here.has_weights(role.identity, known.weights):
            return False
        shutil.copytree(here.folder(role.identity), self.workspace.folder(role.identity))
        self.store.write(known)
        self.recorder.remember([role])
        return True
