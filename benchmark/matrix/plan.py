"""The plan: which runs the chosen cells need, which are done, which train side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmark.cards.brackets import split_brackets
from benchmark.cards.card import Card
from benchmark.errors import IncompatiblePair, UsageError
from benchmark.matrix.request import Choice
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked, ImportedRun, Run
from benchmark.matrix.states import Known, Retry, State, known_of
from benchmark.records.store import Store
from benchmark.registry import Catalogue

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo
    from benchmark.recipe.pair import Pair

EVERY = "*"  # in the place of a recipe's name
MOST_CELLS = 20_000  # they take 4 s to resolve on one core; 504 take 0.1 s
Group = tuple[AnyRun, ...]


class Kept(Protocol):
    """What a plan asks of the folder of checkpoints and weights."""

    def has_weights(self, identity: str) -> bool:
        """Whether the weights of a finished run are here and can be read."""
        ...

    def epochs_done(self, identity: str, source: str) -> int:
        """Epochs that can be continued from, 0 without a checkpoint of this recipe source."""
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
        known: what is known of each, by identity.
        todo: runs to train, in the same order.
        again: identities of those that have a record, and were asked for all the same.
    """

    cells: tuple[Cell, ...]
    runs: tuple[AnyRun, ...]
    known: Mapping[str, Known]
    todo: tuple[AnyRun, ...]
    again: frozenset[str] = frozenset()

    @property
    def states(self) -> dict[str, State]:
        """The states of all runs, by identity."""
        return {identity: known.state for identity, known in self.known.items()}

    def left(self, *states: State) -> list[Known]:
        """What is known of recorded runs that are not trained; of these states alone, if any."""
        todo = {run.identity for run in self.todo}
        return [
            known
            for identity, known in self.known.items()
            if identity not in todo and (not states or known.state in states)
        ]

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
        UsageError: an unknown name or setting, an empty choice, or one that is too large.
        IncompatiblePair: no cell is left; says why.
    """
    cells: list[Cell] = []
    refusals: dict[str, None] = {}
    texts = named(choice.recipes, recipes)
    _check_number(choice, len(texts))
    for card in choice.datasets:
        protocol = card.protocol(choice.protocol)
        resolver = Resolver(card, protocol, recipes, choice.teachers)
        for pair in choice.pairs_of(card, protocol):
            for text in texts:
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


def make_plan(
    cells: Sequence[Cell], store: Store, kept: Kept, *, retry: Collection[Retry] = ()
) -> Plan:
    """What the cells need, less what is recorded.

    A record that cannot be trusted, or that came from another source of its recipe, stays as it is
    unless it is asked for.

    Args:
        cells: the chosen ones.
        store: of records.
        kept: tells where weights are.
        retry: what to train again although it is recorded.
    """
    runs: dict[str, AnyRun] = {}
    for cell in cells:
        for run in cell.run.family():
            runs.setdefault(run.identity, run)
    known = known_of(runs.values(), store)
    again = frozenset(identity for identity, one in known.items() if one.is_retried(retry))
    train: set[str] = set()
    needed: set[str] = set()
    for identity, run in reversed(runs.items()):
        one = known[identity]
        wanted = one.is_open or identity in again
        if not (wanted or one.has_result):
            continue
        has_weights = isinstance(run, ImportedRun) or kept.has_weights(identity)
        if wanted or (identity in needed and not has_weights):
            train.add(identity)
        if identity in train or identity in needed:
            # Also to load a run that is kept, its network is rebuilt from what it builds on.
            needed.update(role.identity for role in run.roles.values())
    todo = tuple(run for identity, run in runs.items() if identity in train)
    return Plan(tuple(cells), tuple(runs.values()), known, todo, again)


def grouped(ready: Sequence[AnyRun], kept: Kept, lead: Callable[[Run], int]) -> list[Group]:
    """Put runs together that see the same batches and hear the same teacher.

    They also spend as many epochs on stages before the protocol's own. Runs without a teacher ride
    along with the first teacher's group. A run with several teachers is with those that hear its
    first one.
    """
    by_batches: dict[tuple[object, ...], list[AnyRun]] = {}
    for run in ready:
        by_batches.setdefault(_sees(run, kept, lead), []).append(run)
    groups = []
    for runs in by_batches.values():
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


def _sees(run: AnyRun, kept: Kept, lead: Callable[[Run], int]) -> tuple[object, ...]:
    """What runs of one group have in common: their batches, and where they stand."""
    protocol = run.protocol
    geometry = (protocol.epochs, protocol.batch_size, protocol.validation, protocol.image_size)
    if isinstance(run, Run):
        stand = (run.seed, lead(run), kept.epochs_done(run.identity, run.source))
        return (run.card.name, "trained", *geometry, *stand)
    return (run.card.name, "imported", *geometry)


def _check_number(choice: Choice, recipes: int) -> None:
    """Refuse a choice before minutes are spent on planning it."""
    pairs = sum(
        len(choice.pairs_of(card, card.protocol(choice.protocol))) for card in choice.datasets
    )
    cells = pairs * recipes * len(choice.seeds)
    if cells > MOST_CELLS:
        raise UsageError(
            f"this is a choice of {cells:,} cells: {pairs} pairs × {recipes} recipes × "
            f"{len(choice.seeds)} seeds. At most {MOST_CELLS:,} are planned at once: choose fewer "
            "--seeds, or some of the --pair, --recipe, --dataset."
        )


def _check_that_teachers_are_used(cells: Sequence[Cell], choice: Choice) -> None:
    family = (run for cell in cells for run in cell.run.family())
    used = {run.network for run in family if isinstance(run, ImportedRun)}
    if cells and (unused := sorted(set(choice.teachers) - used)):
        raise UsageError(
            f"--teacher-checkpoint: no chosen cell builds on {', '.join(unused)} trained alone.\n"
            "Correct the network's name, or leave the option out."
        )
