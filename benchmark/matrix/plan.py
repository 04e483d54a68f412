"""The plan: which runs the chosen cells need, which are done, which train side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import torch

from benchmark.cards.brackets import split_brackets
from benchmark.cards.card import Card
from benchmark.data.pictures import Pictures
from benchmark.errors import IncompatiblePair, RecipeError, UsageError
from benchmark.matrix.run import Resolver, Run, fault_in
from benchmark.networks.catalogue import create_network
from benchmark.networks.outputs import NetworkShape
from benchmark.recipe.contract import Context, Pair, RecipeInfo
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.checkpoint import Workspace
from benchmark.training.stages import lead_of

EVERY = "*"  # in the place of a recipe's name


class State(StrEnum):
    """What is known of a run."""

    done = "done"
    failed = "failed"
    stale = "stale"
    missing = "missing"


@dataclass(frozen=True)
class Choice:
    """What a person asked for: the axes of the matrix.

    Attributes:
        datasets: cards.
        pairs: ``teacher:student``; empty means the usual pairs of each card's protocol.
        recipes: names, with settings in brackets; ``*`` stands for every method.
        seeds: of the cells.
        protocol: name; None means each card's default.
        teachers: files of teacher weights by network.
    """

    datasets: Sequence[Card]
    recipes: Sequence[str]
    seeds: Sequence[int]
    pairs: Sequence[str] = ()
    protocol: str | None = None
    teachers: Mapping[str, Path] = field(default_factory=dict)


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
        runs: all runs that they need, those that others build on first.
        states: what is known of each, by identity.
        todo: runs to train, in the same order.
    """

    cells: tuple[Cell, ...]
    runs: tuple[Run, ...]
    states: Mapping[str, State]
    todo: tuple[Run, ...]

    def groups(
        self, workspace: Workspace, recipes: Catalogue[RecipeInfo]
    ) -> list[list[tuple[Run, ...]]]:
        """Groups by level: a level's groups build only on the levels before it."""
        left = list(self.todo)
        open_ones = {run.identity for run in left}
        levels = []
        while left:
            ready = [r for r in left if not any(p.identity in open_ones for p in r.roles.values())]
            levels.append(group(ready, workspace, recipes))
            open_ones -= {run.identity for run in ready}
            left = [run for run in left if run.identity in open_ones]
        return levels


def parse_seeds(text: str) -> list[int]:
    """Read ``3`` (the seeds 0, 1, 2) or a list such as ``0,2,5`` (those seeds).

    Raises:
        UsageError: neither.
    """
    if re.fullmatch(r"[1-9]\d*", text):
        return list(range(int(text)))
    if re.fullmatch(r"\d+(,\d+)*,?", text) and "," in text:
        return sorted({int(part) for part in text.split(",") if part})
    raise UsageError(f"--seeds '{text}': write how many (3) or which (0,2,5).")


def cells_of(choice: Choice, recipes: Catalogue[RecipeInfo]) -> tuple[list[Cell], list[str]]:
    """All cells of the choice, each checked as far as that is possible before training.

    Returns:
        The cells, and the reasons for those that are left out because a recipe's mathematics does
        not allow a pair.

    Raises:
        UsageError: an unknown name or setting, or an empty choice.
        IncompatiblePair: no cell is left; says why.
    """
    shapes = _Shapes()
    cells: list[Cell] = []
    refusals: dict[str, None] = {}
    for card in choice.datasets:
        protocol = card.protocol(choice.protocol)
        resolver = Resolver(card, protocol, recipes, choice.teachers)
        for pair in map(Pair.parse, choice.pairs or card.pairs_of(protocol)):
            for text in named(choice.recipes, recipes):
                name, settings = split_brackets(text)
                for seed in choice.seeds:
                    run = resolver.run(name, settings, network=pair.student, pair=pair, seed=seed)
                    if reason := _refusal(run, recipes, shapes):
                        refusals[reason] = None
                        break  # the other seeds have the same networks
                    cells.append(Cell(card, pair, run))
    used = {run.network for cell in cells for run in cell.run.family() if run.weights is not None}
    if cells and (unused := sorted(set(choice.teachers) - used)):
        raise UsageError(
            f"--teacher-checkpoint: no chosen cell builds on {', '.join(unused)} trained alone.\n"
            "Correct the network's name, or leave the option out."
        )
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


def make_plan(cells: Sequence[Cell], store: Store, workspace: Workspace, *, retry: bool) -> Plan:
    """What the cells need, less what is recorded.

    Args:
        cells: the chosen ones.
        store: of records.
        workspace: where weights are kept.
        retry: whether to train again what is recorded as failed.

    Raises:
        RecordError: a record that is in the way cannot be read or trusted.
    """
    runs: dict[str, Run] = {}
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
        has_weights = run.weights is not None or workspace.has_weights(identity)
        if state is not State.done or (identity in needed and not has_weights):
            train.add(identity)
        if identity in train or identity in needed:
            # Also to load a run that is kept, its network is rebuilt from what it builds on.
            needed.update(role.identity for role in run.roles.values())
    todo = tuple(run for identity, run in runs.items() if identity in train)
    return Plan(tuple(cells), tuple(runs.values()), states, todo)


def state_of(run: Run, store: Store) -> State:
    """What the store knows of a run."""
    path = store.path_of(run.spec({}))
    if not path.exists():
        return State.missing
    record = store.read(path)
    if record.identity != run.identity:
        return State.stale
    return State.done if record.status == "ok" else State.failed


def group(
    ready: Sequence[Run], workspace: Workspace, recipes: Catalogue[RecipeInfo]
) -> list[tuple[Run, ...]]:
    """Put runs together that see the same batches and have at most one teacher between them.

    They also spend as many epochs on stages before the protocol's own. Runs without a teacher ride
    along with the first teacher's group.
    """
    by_batches: dict[tuple[object, ...], list[Run]] = {}
    for run in ready:
        done = 0
        if run.weights is None:
            source = recipes.get(run.recipe).digest
            done = workspace.epochs_done(run.identity, source)
        protocol = run.protocol
        geometry = (protocol.epochs, protocol.batch_size, protocol.validation, protocol.image_size)
        stand = (lead(run, recipes), done)
        key = (run.card.name, run.weights is not None, *geometry, run.seed, *stand)
        by_batches.setdefault(key, []).append(run)
    groups = []
    for runs in by_batches.values():
        teachers: dict[str, list[Run]] = {}
        alone = []
        for run in runs:
            if "teacher" in run.roles:
                teachers.setdefault(run.roles["teacher"].identity, []).append(run)
            else:
                alone.append(run)
        parts = list(teachers.values()) or [[]]
        parts[0] = alone + parts[0]
        groups += [tuple(part) for part in parts]
    return groups


def lead(run: Run, recipes: Catalogue[RecipeInfo]) -> int:
    """Epochs that a run's recipe trains before the protocol's own."""
    if run.weights is not None:
        return 0
    info = recipes.get(run.recipe)
    try:
        return lead_of(info.cls(**run.settings), run.protocol)
    except RecipeError:
        raise
    except Exception as error:
        raise fault_in(info, "stages", error) from error


class _Shapes:
    """Widths of networks, found without memory or arithmetic, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], NetworkShape] = {}

    def of(self, network: str, pictures: Pictures) -> NetworkShape:
        key = (network, pictures.size)
        if key not in self._known:  # a second for a large network; classes change nothing inside it
            with torch.device("meta"):
                self._known[key] = create_network(
                    network, classes=pictures.classes, image_size=pictures.shape
                ).shape
        return replace(self._known[key], classes=pictures.classes)


def _refusal(run: Run, recipes: Catalogue[RecipeInfo], shapes: _Shapes) -> str | None:
    """Why a run, or one that it builds on, cannot be trained; None if it can."""
    for member in run.family():
        student = shapes.of(member.network, member.pictures)
        if member.weights is not None:
            continue
        teacher = member.roles.get("teacher")
        context = Context(
            student=student,
            teacher=shapes.of(teacher.network, member.pictures) if teacher else None,
            labels=torch.arange(member.card.classes),  # the data are not loaded yet
        )
        info = recipes.get(member.recipe)
        try:
            reason = info.cls(**member.settings).refuse(context)
        except Exception as error:
            raise fault_in(info, "refuse", error) from error
        if reason:
            what = member.pair or member.network
            return f"recipe '{member.recipe}' cannot combine {what}: {reason}"
    return None
