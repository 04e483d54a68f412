"""A minute with a recipe: it trains beside ``vanilla`` and ``kd`` on a small data set, watched.

No result comes of it and nothing is recorded: one seed, a handful of images held out of the
training set. The teacher's weights are kept in the cache for the next minute.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from benchmark.cards.brackets import split_brackets
from benchmark.data.splits import DataSet
from benchmark.errors import IncompatiblePair, TrainingError
from benchmark.events import Listener
from benchmark.matrix.plan import Cell, cells_of
from benchmark.matrix.request import Request, choice_of
from benchmark.matrix.run import AnyRun, Run
from benchmark.proving.watch import Seen, Watch
from benchmark.recipe.contract import RecipeInfo
from benchmark.registry import Catalogue
from benchmark.training.ending import Ending, Failed, Finished
from benchmark.training.group import Group
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.loop import train
from benchmark.work.fitting import Fitting, lead
from benchmark.work.place import Place
from benchmark.work.roles import Roles
from benchmark.work.speed.bench import Bench
from benchmark.work.train import GroupSpec, train_group

RIVALS = ("vanilla", "kd")
OTHER_PAIRS = "cifar100"  # whose pairs a recipe is asked about, beside the one it trains
LOOKS = 8  # steps that are looked at, closer to each other at the beginning
NEVER_S = math.inf
SMALL, LARGE = 0.01, 20.0  # a term's gradient over that of all others together


@dataclass(frozen=True)
class Tried:
    """How one recipe did.

    Attributes:
        recipe: with its settings.
        seen: the steps that were looked at.
        shapes: see ``Watch``.
        top1: in percent, on the images held out; None if it came to no end.
        images_per_s: when it trains alone, median of several rounds.
        own_parameters: of its own layers.
        error: kind, message, place and traceback of what stopped it.
    """

    recipe: str
    seen: tuple[Seen, ...]
    shapes: Mapping[str, Mapping[str, Sequence[Sequence[int]]]]
    top1: float | None
    images_per_s: float | None
    own_parameters: int | None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Trial:
    """A minute's outcome.

    Attributes:
        dataset, pair, protocol: where.
        images: on which top-1 was measured.
        steps: of the whole training.
        recipe: that was tried, with its settings.
        tried: it and its rivals, which come first.
        remarks: what its author should look at.
        refused: the other pairs that it refuses, with its reasons.
    """

    dataset: str
    pair: str
    protocol: str
    images: int
    steps: int
    recipe: str
    tried: tuple[Tried, ...]
    remarks: tuple[str, ...]
    refused: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Trying:
    """Tries a recipe.

    Args:
        recipes: all that there are.
        paths: folders with further recipes.
        place: device and folders; its workspace is where teachers are kept from one trial to the
            next.
        listener: hears of the progress.
        seconds: for which each rate is measured.
    """

    def __init__(
        self,
        recipes: Catalogue[RecipeInfo],
        paths: tuple[Path, ...],
        place: Place,
        listener: Listener,
        seconds: float,
    ) -> None:
        self.recipes, self.paths, self.listener = recipes, paths, listener
        self.place, self.seconds = replace(place, checkpoint_s=NEVER_S, compiled=False), seconds
        self._fitting = Fitting()

    def trial(self, recipe: str, *, dataset: str, pair: str, protocol: str) -> Trial:
        """Train a recipe beside its rivals.

        Args:
            recipe: name, with settings in brackets.
            dataset: a card's name.
            pair: ``teacher:student``.
            protocol: name, with settings in brackets.

        Raises:
            IncompatiblePair: it refuses the pair.
            BenchmarkError: a word that does not exist, a teacher that cannot be trained.
        """
        cells = self._cells(recipe, dataset, pair, protocol)
        runs = [cell.run for cell in cells]
        data = self.place.data_of(cells[0].card, runs[0].protocol, self.listener)
        self._train_teachers(runs)
        trained = self._train(runs, data)
        rates = self._rates(runs, data)
        tried = [trained.of(run, rates.get(run.identity)) for run in runs]
        return Trial(
            dataset=dataset,
            pair=str(cells[0].pair),
            protocol=runs[0].protocol.name,
            images=trained.images,
            steps=trained.steps,
            recipe=runs[-1].recipe_label,
            tried=tuple(tried),
            remarks=tuple(remarks_on(tried[-1])),
            refused=tuple(self._refused(recipe)),
        )

    def _cells(self, recipe: str, dataset: str, pair: str, protocol: str) -> list[Cell]:
        """The rivals' cells, then the recipe's own."""
        others = [name for name in RIVALS if name != recipe]
        request = Request(
            datasets=[dataset], pairs=[pair], recipes=[*others, recipe], seeds="1",
            protocol=protocol, paths=self.paths,
        )  # fmt: skip
        cells, refusals = cells_of(choice_of(request), self.recipes, self._fitting.refusal)
        name, _ = split_brackets(recipe)
        if not any(cell.run.recipe.name == name for cell in cells):
            raise IncompatiblePair(
                "\n".join(refusals) + f"\nName another pair than {pair} with --pair."
            )
        return cells

    def _refused(self, recipe: str) -> list[str]:
        request = Request(datasets=[OTHER_PAIRS], recipes=[recipe], seeds="1", paths=self.paths)
        try:
            _, refusals = cells_of(choice_of(request), self.recipes, self._fitting.refusal)
        except IncompatiblePair as all_of_them:
            return str(all_of_them).splitlines()
        return refusals

    def _train_teachers(self, runs: Sequence[Run]) -> None:
        """Train what is not in the cache; what another source trained is another teacher."""
        family = {run.identity: run for one in runs for run in one.family()}
        roles = [run for run in family.values() if run not in runs]
        sources = sorted({run.source for run in roles})
        named = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:16]
        self.place = replace(self.place, workspace=Workspace(self.place.workspace.root / named))
        for run in roles:
            if not self.place.workspace.has_weights(run.identity, None):
                self._train_teacher(run)

    def _train_teacher(self, run: AnyRun) -> None:
        spec = GroupSpec.of([run], teachers={}, paths=self.paths)
        [ending] = train_group(spec, self.place, self.listener)
        if not isinstance(ending, Finished):
            said = ending.failure.message if isinstance(ending, Failed) else "it was stopped"
            raise TrainingError(f"{run.label}, which it builds on, came to no end: {said}")
        top1 = ending.metrics.top1
        self.place.workspace.save_weights(run.identity, ending.weights, recorded=None, top1=top1)

    def _train(self, runs: Sequence[Run], data: DataSet) -> _Trained:
        """Train those with equally long first stages side by side."""
        trained = _Trained()
        for _, alike in groupby(sorted(runs, key=lead), key=lead):
            together = list(alike)
            self.place.clear_memory()
            roles = Roles(self.place.workspace, data, {})
            group = Group(
                [roles.job(run) for run in together],
                data,
                accelerator=self.place.accelerator,
                workspace=self.place.workspace,
                listener=self.listener,
                halt=self.place.halt,
                checkpoint_s=NEVER_S,
                compiled=False,
            )
            trained.images = len(group.supply.evaluated)
            trained.steps = group.epochs * len(group.loader)
            for member in group.members:
                watch = Watch(member.learner, looks(trained.steps))
                trained.watches[member.job.identity] = watch
            title = f"{data.card.title}, {runs[0].protocol.name}"
            labels = [run.label for run in together]
            self.listener.group_started(title, labels, group.epochs, 0)
            trained.endings |= train(group)
        return trained

    def _rates(self, runs: Sequence[Run], data: DataSet) -> dict[str, float]:
        """Images/s of each that trains alone, in turn; without what cannot be trained."""
        bench = Bench(data, self.recipes, self.place.accelerator, self.seconds)
        tasks = {}
        for run in runs:
            try:
                task = bench.task(bench.steps([run]), [run])
                task.step()
            except Exception:  # told by how its training ended
                continue
            tasks[run.identity] = task
        self.listener.note("measuring what a step costs")
        rates, _ = bench.clock.rounds(tasks)
        return {identity: median(values) for identity, values in rates.items()}


@dataclass
class _Trained:
    """What came of the trainings, by identity; images and steps are the same for all."""

    watches: dict[str, Watch] = field(default_factory=dict)
    endings: dict[str, Ending] = field(default_factory=dict)
    images: int = 0
    steps: int = 0

    def of(self, run: Run, rate: float | None) -> Tried:
        ending, watch = self.endings.get(run.identity), self.watches.get(run.identity)
        error = None
        if isinstance(ending, Failed):
            error = ending.failure.model_dump() | {"traceback": ending.traceback}
        done = ending if isinstance(ending, Finished) else None
        return Tried(
            run.recipe_label,
            tuple(watch.seen) if watch else (),
            watch.shapes if watch else {},
            done.metrics.top1 if done else None,
            rate,
            done.cost.recipe_parameters if done else None,
            error,
        )


def looks(steps: int) -> list[int]:
    """The steps that are looked at: the first, the last, and ever fewer between them."""
    return sorted({round(steps ** (n / (LOOKS - 1))) for n in range(LOOKS)})


def remarks_on(tried: Tried) -> Iterator[str]:
    """What an author should look at: terms that do nothing, or all, or never change."""
    names = dict.fromkeys(name for seen in tried.seen for name in seen.terms)
    for name in names:
        looked = [seen for seen in tried.seen if name in seen.terms]
        shares = [_share(seen, name) for seen in looked]
        if not any(seen.gradients[name] for seen in looked):
            yield f"'{name}' gives the student no gradient at any step that was looked at"
        elif len(names) > 1 and max(shares) < SMALL:
            yield (
                f"the gradient of '{name}' is below {SMALL:.0%} of the others' at every step: it "
                "hardly teaches anything; raise its weight"
            )
        elif len(names) > 1 and min(shares) > LARGE:
            yield (
                f"the gradient of '{name}' is more than {LARGE:g} times the others' at every step: "
                "it drowns them; lower its weight"
            )
        if len(looked) > 1 and len({seen.terms[name] for seen in looked}) == 1:
            yield f"'{name}' is {looked[0].terms[name]:g} at every step: it does not learn"


def _share(seen: Seen, name: str) -> float:
    others = math.hypot(*(norm for other, norm in seen.gradients.items() if other != name))
    return seen.gradients[name] / others if others else math.inf
