"""The work: train a group at this place, and say how each of its members ended.

All that it needs beside the place is a ``GroupSpec``: names, settings and files, which travel to
another process or machine. Recipes, data and the networks of roles are loaded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cards.card import Card, Protocol
from benchmark.data.splits import DataSet
from benchmark.errors import BenchmarkError, TrainingError
from benchmark.events import Listener
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked, ImportedRun, Run
from benchmark.recipe.contract import RecipeInfo
from benchmark.registry import Catalogue
from benchmark.training.answers.answering import keep_answers
from benchmark.training.ending import Disturbed, Ending, Stopped, ended
from benchmark.training.group import Group
from benchmark.training.keeping.stand import side_by_side
from benchmark.training.loop import train
from benchmark.training.steps.programs import COMPILING
from benchmark.work.fitting import lead
from benchmark.work.place import Place
from benchmark.work.roles import Roles
from benchmark.work.score import score_weights


@dataclass(frozen=True)
class GroupSpec:
    """A group of runs by name and settings.

    Attributes:
        card: of the data set.
        protocol: of all members.
        members: the words that each run is resolved from; weights that were brought are themselves.
        identities: of the runs that must come of it.
        sources: what each result comes from, by digest; a place with another recipe refuses.
        teachers: files of teacher weights by network, with their sha256.
        paths: folders with further recipes.
        recorded: digests of the weights that the members build on, by identity, as the records of
            those runs have them; None for a record that is older than digests.
    """

    card: Card
    protocol: Protocol
    members: tuple[Asked | ImportedRun, ...]
    identities: tuple[str, ...]
    sources: tuple[str, ...]
    teachers: Mapping[str, tuple[Path, str]]
    paths: tuple[Path, ...]
    recorded: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        runs: Sequence[AnyRun],
        *,
        teachers: Mapping[str, tuple[Path, str]],
        paths: Sequence[Path],
        recorded: Mapping[str, str | None] | None = None,
    ) -> GroupSpec:
        """The description of runs of one group."""
        return cls(
            card=runs[0].card,
            protocol=runs[0].protocol,
            members=tuple(_words(run) for run in runs),
            identities=tuple(run.identity for run in runs),
            sources=tuple(run.source for run in runs),
            teachers=dict(teachers),
            paths=tuple(paths),
            recorded=dict(recorded or {}),
        )

    def resolve(self, recipes: Catalogue[RecipeInfo]) -> list[AnyRun]:
        """The runs.

        Args:
            recipes: of this place.

        Raises:
            TrainingError: recipes here are not those that the group was described with.
        """
        resolver = Resolver(self.card, self.protocol, recipes, self.teachers)
        runs: list[AnyRun] = [
            member if isinstance(member, ImportedRun) else resolver.resolve(member)
            for member in self.members
        ]
        for run, identity, source in zip(runs, self.identities, self.sources, strict=True):
            if (run.identity, run.source) != (identity, source):
                raise TrainingError(
                    f"'{run.label}' is another run here than where it was planned: the recipes or "
                    "the packages differ. Use the same version of kdbench and of your own recipes."
                )
        return runs


def _words(run: AnyRun) -> Asked | ImportedRun:
    if isinstance(run, Run):
        return run.asked
    if isinstance(run, ImportedRun):
        return run
    raise TypeError(f"no way to describe a {type(run).__name__}")


def train_group(group: GroupSpec, place: Place, listener: Listener) -> list[Ending]:
    """Train a group to its end, or until it shall stop; score weights that were brought.

    Args:
        group: the runs.
        place: device and folders.
        listener: hears of the progress.

    Returns:
        How each member ended, in their order.

    Raises:
        BenchmarkError: nothing of the group can be trained here, e.g. for want of its data.
    """
    runs = group.resolve(place.recipes_of(group.paths))
    data = place.data_of(group.card, group.protocol, listener)
    trained = [run for run in runs if isinstance(run, Run)]
    endings: dict[str, Ending] = {}
    for part in _side_by_side(trained, place):
        if endings and place.halt.asked:
            endings |= {run.identity: _not_begun(run, place) for run in part}
        else:
            endings |= _train_together(part, group.recorded, data, place, listener)
    for run in runs:
        if isinstance(run, ImportedRun):
            endings |= {run.identity: score_weights(run, place, listener)}
    return [endings[run.identity] for run in runs]


def _side_by_side(runs: Sequence[Run], place: Place) -> list[list[Run]]:
    """Runs of a group in parts that stand at one place of their training each."""
    return side_by_side([(run, place.workspace.stands(run.identity, run.source)) for run in runs])


def _not_begun(run: Run, place: Place) -> Stopped:
    stand, *_ = place.workspace.stands(run.identity, run.source)
    return Stopped(stand.epoch, lead(run) + run.protocol.epochs, stand.step)


def _train_together(
    runs: Sequence[Run],
    recorded: Mapping[str, str | None],
    data: DataSet,
    place: Place,
    listener: Listener,
) -> dict[str, Ending]:
    """How runs ended that trained side by side, by identity."""
    place.clear_memory()
    endings: dict[str, Ending] = {}
    try:
        roles = Roles(place.workspace, data, recorded)
        jobs = [roles.job(run) for run in runs]
        for folder in sorted(roles.unsealed):
            place.note_once(f"the weights in {folder} are of an older version, unsealed", listener)
        if place.accelerator.is_main_process:
            for run in runs:
                place.workspace.folders.keep_spec(run.spec)
        group = Group(
            jobs,
            data,
            accelerator=place.accelerator,
            workspace=place.workspace,
            listener=listener,
            halt=place.halt,
            checkpoint_s=place.checkpoint_s,
            limit_s=place.limit_s,
            compiled=place.compiled,
        )
        endings = group.endings
        if group.programs is not None:
            place.note_once(COMPILING, listener)
        keep_answers(group, place.keep)
        title = f"{data.card.title}, {runs[0].protocol.name}, seed {runs[0].seed}"
        listener.group_started(title, [run.label for run in runs], group.epochs, group.stand.epoch)
        train(group)
    except Exception as error:
        # Not one member's fault, which the group would have noted: a teacher's, or memory.
        rest = ended(error, 1)
        told = isinstance(error, BenchmarkError) and not isinstance(rest, Disturbed)
        if told or place.accelerator.num_processes > 1:
            raise
        return {**{run.identity: rest for run in runs}, **endings}
    return endings
