"""The plan: which runs the chosen cells need, which are done, which train side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmark.cards.brackets import split_brackets, swept
from benchmark.cards.card import Card
from benchmark.errors import IncompatiblePair, RecordError, UsageError
from benchmark.matrix.elsewhere import Elsewhere, Keeps, note
from benchmark.matrix.request import Choice
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked, ImportedRun, Run
from benchmark.matrix.states import Known, Retry, State, known_of
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.keeping.stand import BEGINNING, Stand, side_by_side

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo
    from benchmark.recipe.pair import Pair

EVERY = "*"  # in the place of a recipe's name
MOST_CELLS = 20_000  # they take 4 s to resolve on one core; 504 take 0.1 s
Group = tuple[AnyRun, ...]


class Kept(Keeps, Protocol):
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

    def elsewhere(self) -> list[str]:
        """What a person must know of cells that others recorded, as long as they stay so."""
        cells = [cell.run.identity for cell in self.cells]
        return note(["" if cell in self.again else self.known[cell].elsewhere for cell in cells])

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
                runs = [
                    resolver.resolve(Asked(name, settings, pair.student, pair, seed))
                    for seed in choice.seeds
                ]
                # The other seeds have the same networks and settings.
                if reason := next(filter(None, map(refusal, runs[0].family())), None):
                    refusals[reason] = None
                    continue
                cells += [Cell(card, pair, run) for run in runs]
    _check_that_teachers_are_used(cells, choice)
    if not cells and refusals:
        raise IncompatiblePair("\n".join(refusals))
    if not cells:
        raise UsageError("nothing is chosen. Name a --suite, or --dataset with --recipe.")
    return cells, list(refusals)


def named(texts: Sequence[str], recipes: Catalogue[RecipeInfo]) -> list[str]:
    """What was written of recipes, with ``*`` for every method, and each choice of a sweep.

    Raises:
        UsageError: settings behind the star, which not every method has; a sweep without a value.
    """
    methods = [info.name for info in recipes.values() if info.trains == "student"]
    names: dict[str, None] = {}
    for text in texts:
        if text.startswith(EVERY) and text != EVERY:
            raise UsageError(
                f"'{text}': '{EVERY}' is every method as it is. Name one to change it."
            )
        names |= dict.fromkeys(methods if text == EVERY else swept(text))
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
    known = known_of(runs.values(), store, Elsewhere(store, kept))
    again = frozenset(identity for identity, one in known.items() if one.is_retried(retry))
    train: set[str] = set()
    needed: set[str] = set()
    for identity, run in reversed(runs.items()):
        one = known[identity]
        wanted = one.is_open or identity in again
        if not (wanted or one.has_result):
            continue
        if wanted or (identity in needed and not has_weights(run, store, kept)):
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
