"""The plan: which runs the chosen cells need, which are done, which train side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from benchmark.cards.brackets import split_brackets
from benchmark.cards.card import Card
from benchmark.errors import IncompatiblePair, RecordError, UsageError
from benchmark.matrix.request import Choice
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked, ImportedRun, Run
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.keeping.stand import BEGINNING, Stand, side_by_side

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo
    from benchmark.recipe.pair import Pair

EVERY = "*"  # in the place of a recipe's name
Group = tuple[AnyRun, ...]


class State(StrEnum):
    """What is known of a run."""

    done = "done"
    failed = "failed"
    stale = "stale"
    missing = "missing"


class Kept(Protocol):
    """What a plan asks of the folder of checkpoints and weights."""

    def has_weights(self, identity: str, recorded: str | None) -> bool:
        """Whether the weights of a finished run are here: those that its record has the digest of.

        None stands for a record that is older than digests.
        """
        ...

    def stands(self, identity: str, source: str) -> tuple[Stand, ...]:
        """Places at which a run can go on, the newest first; its beginning if nowhere else."""
        ...


@dataclass(frozen=True)
class Cell:
    """One number of the matrix: the run whose result it is."""

    card: Card
    pair: Pair
    run: Run


@dataclass(frozen=True)
class Plan:
    """The runs that the chosen cells need.

    Attributes:
        cells: what was chosen.
        runs: all runs that they need; each stands behind those that it builds on.
        states: what is known of each, by identity.
        todo: runs to train, in the same order.
    """

    cells: tuple[Cell, ...]
    runs: tuple[AnyRun, ...]
    states: Mapping[str, State]
    todo: tuple[AnyRun, ...]

    def levels(self, kept: Kept, lead: Callable[[Run], int]) -> list[list[Group]]:
        """Groups by level: a level's groups build only on the levels before it.

        Args:
            kept: tells how far runs are trained.
            lead: epochs that a run's recipe trains before the protocol's own.
        """
        left = list(self.todo)
        open_ones = {run.identity for run in left}
        levels = []
        while left:
            ready = [r for r in left if not any(p.identity in open_ones for p in r.roles.values())]
            levels.append(grouped(ready, kept, lead))
            open_ones -= {run.identity for run in ready}
            left = [run for run in left if run.identity in open_ones]
        return levels


def cells_of(
    choice: Choice, recipes: Catalogue[RecipeInfo], refusal: Callable[[AnyRun], str | None]
) -> tuple[list[Cell], list[str]]:
    """All cells of the choice, each checked as far as that is possible before training.

    Args:
        choice: the axes of the matrix.
        recipes: the catalogue.
        refusal: why a run cannot be trained because its recipe's mathematics does not allow the
            pair; None if it can.

    Returns:
        The cells, and the reasons for those that are left out.

    Raises:
        UsageError: an unknown name or setting, or an empty choice.
        IncompatiblePair: no cell is left; says why.
    """
    cells: list[Cell] = []
    refusals: dict[str, None] = {}
    for card in choice.datasets:
        protocol = card.protocol(choice.protocol)
        resolver = Resolver(card, protocol, recipes, choice.teachers)
        for pair in choice.pairs_of(card, protocol):
            for text in named(choice.recipes, recipes):
                name, settings = split_brackets(text)
                for seed in choice.seeds:
                    run = resolver.resolve(Asked(name, settings, pair.student, pair, seed))
                    if reason := next(filter(None, map(refusal, run.family())), None):
                        refusals[reason] = None
                        break  # the other seeds have the same networks
                    cells.append(Cell(card, pair, run))
    _check_that_teachers_are_used(cells, choice)
    if not cells and refusals:
        raise IncompatiblePair("\n".join(refusals))
    if not cells:
        raise UsageError("nothing is chosen. Name a --suite, or --dataset with --recipe.")
    return cells, list(refusals)


def named(texts: Sequence[str], recipes: Catalogue[RecipeInfo]) -> list[str]:
    """What was written of recipes, with ``*`` for every method that there is.

    Raises:
        UsageError: settings behind the star, which not every method has.
    """
    methods = [info.name for info in recipes.values() if info.trains == "student"]
    names: dict[str, None] = {}
    for text in texts:
        if text.startswith(EVERY) and text != EVERY:
            raise UsageError(
                f"'{text}': '{EVERY}' is every method as it is. Name one to change it."
            )
        names |= dict.fromkeys(methods if text == EVERY else [text])
    return list(names)


def make_plan(cells: Sequence[Cell], store: Store, kept: Kept, *, retry: bool) -> Plan:
    """What the cells need, less what is recorded.

    Args:
        cells: the chosen ones.
        store: of records.
        kept: tells where weights are.
        retry: whether to train again what is recorded as failed.

    Raises:
        RecordError: a record that is in the way cannot be read or trusted.
    """
    runs: dict[str, AnyRun] = {}
    for cell in cells:
        for run in cell.run.family():
            runs.setdefault(run.identity, run)
    states = {identity: state_of(run, store) for identity, run in runs.items()}
    train: set[str] = set()
    needed: set[str] = set()
    for identity, run in reversed(runs.items()):
        state = states[identity]
        if state is State.failed and not retry:
            continue
        if state is not State.done or (identity in needed and not has_weights(run, store, kept)):
            train.add(identity)
        if identity in train or identity in needed:
            # Also to load a run that is kept, its network is rebuilt from what it builds on.
            needed.update(role.identity for role in run.roles.values())
    todo = tuple(run for identity, run in runs.items() if identity in train)
    return Plan(tuple(cells), tuple(runs.values()), states, todo)


def state_of(run: AnyRun, store: Store) -> State:
    """What the store knows of a run."""
    path = store.path_of(run.spec)
    if not path.exists():
        return State.missing
    record = store.read(path)
    if record.identity != run.identity:
        return State.stale
    return State.done if record.status == "ok" else State.failed


def grouped(ready: Sequence[AnyRun], kept: Kept, lead: Callable[[Run], int]) -> list[Group]:
    """Put runs together that see the same batches and hear the same teacher.

    They also spend as many epochs on stages before the protocol's own. Runs without a teacher ride
    along with the first teacher's group. A run with several teachers is with those that hear its
    first one.
    """
    by_batches: dict[tuple[object, ...], list[AnyRun]] = {}
    for run in ready:
        by_batches.setdefault(_sees(run, lead), []).append(run)
    groups = []
    for runs in _standing_together(by_batches.values(), kept):
        teachers: dict[str, list[AnyRun]] = {}
        alone = []
        for run in runs:
            if isinstance(run, Run) and run.heard:
                teachers.setdefault(run.heard[0].identity, []).append(run)
            else:
                alone.append(run)
        parts = list(teachers.values()) or [[]]
        parts[0] = alone + parts[0]
        groups += [tuple(part) for part in parts]
    return groups


def has_weights(run: AnyRun, store: Store, kept: Kept) -> bool:
    """Whether the network of a run can be built on: it is done, and its weights are here."""
    if isinstance(run, ImportedRun):
        return True
    found = recorded_weights([run], store)
    return run.identity in found and kept.has_weights(run.identity, found[run.identity])


def recorded_weights(runs: Iterable[AnyRun], store: Store) -> dict[str, str | None]:
    """Digests of the weights that runs gave, by identity, as their records have them.

    None stands for a record that is older than digests; runs that are not done are left out.
    """
    found = {}
    for run in runs:
        try:
            record = store.find(run.spec)
        except RecordError:
            continue  # whoever plans says it
        if record is not None and record.status == "ok":
            found[run.identity] = record.weights
    return found


def _standing_together(
    groups: Iterable[Sequence[AnyRun]], kept: Kept
) -> Iterator[Sequence[AnyRun]]:
    """The groups, each in parts that stand at one place of their training."""
    for runs in groups:
        yield from side_by_side(
            [
                (
                    run,
                    kept.stands(run.identity, run.source) if isinstance(run, Run) else (BEGINNING,),
                )
                for run in runs
            ]
        )


def _sees(run: AnyRun, lead: Callable[[Run], int]) -> tuple[object, ...]:
    """What runs of one group have in common: their batches."""
    protocol = run.protocol
    geometry = (protocol.epochs, protocol.batch_size, protocol.validation, protocol.image_size)
    if isinstance(run, Run):
        return (run.card.name, "trained", *geometry, run.seed, lead(run))
    return (run.card.name, "imported", *geometry)


def _check_that_teachers_are_used(cells: Sequence[Cell], choice: Choice) -> None:
    family = (run for cell in cells for run in cell.run.family())
    used = {run.network for run in family if isinstance(run, ImportedRun)}
    if cells and (unused := sorted(set(choice.teachers) - used)):
        raise UsageError(
            f"--teacher-checkpoint: no chosen cell builds on {', '.join(unused)} trained alone.\n"
            "Correct the network's name, or leave the option out."
        )
