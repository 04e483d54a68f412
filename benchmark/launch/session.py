"""One call of the command line on the matrix: choose, plan, execute, sum up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.events import Listener
from benchmark.matrix.plan import Plan, State, cells_of, lead, make_plan, state_of
from benchmark.matrix.request import Request, choice_of
from benchmark.matrix.run import Run
from benchmark.networks.catalogue import create_network
from benchmark.networks.weights import load_weights
from benchmark.recipe.discovery import load_recipes
from benchmark.records.schema import Record
from benchmark.records.store import Store
from benchmark.training.checkpoint import Workspace
from benchmark.work.accelerator import make_accelerator
from benchmark.work.execute import Execution, Outcome


@dataclass(frozen=True)
class Summary:
    """How a call ended.

    Attributes:
        plan: what was to do.
        outcomes: of the runs that were to be trained, by identity.
        results: path of the record of every cell, as far as there is one, with its top-1.
        is_main_process: whether this process speaks for all.
    """

    plan: Plan
    outcomes: Mapping[str, Outcome]
    results: Mapping[str, tuple[str, float | None]]
    is_main_process: bool

    def count(self, outcome: Outcome) -> int:
        """Runs that ended so."""
        return sum(found is outcome for found in self.outcomes.values())

    @property
    def given_up(self) -> int:
        """Runs recorded as failed earlier, and not tried again."""
        todo = {run.identity for run in self.plan.todo}
        return sum(
            state is State.failed and identity not in todo
            for identity, state in self.plan.states.items()
        )

    @property
    def exit_code(self) -> int:
        """0, or 1 if some runs have no result because of a failure."""
        bad = self.count(Outcome.failed) + self.count(Outcome.blocked) + self.given_up
        return 1 if bad else 0

    def lines(self) -> list[str]:
        """What a person must know beside the table."""
        lines = []
        for outcome, text in (
            (Outcome.failed, "failed: their records say why ('kdbench show CELL')"),
            (Outcome.blocked, "could not be trained because a run that they build on failed"),
            (Outcome.unfinished, "did not finish: the same command continues"),
        ):
            if number := self.count(outcome):
                lines.append(f"{number} {'run' if number == 1 else 'runs'} {text}.")
        if self.given_up:
            lines.append(f"{self.given_up} failed earlier; '--retry failed' trains them again.")
        return lines

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "outcomes": dict(Counter(outcome.value for outcome in self.outcomes.values())),
            "given_up": self.given_up,
            "cells": [
                {
                    "dataset": cell.card.name,
                    "pair": str(cell.pair),
                    "recipe": cell.run.recipe_label,
                    "protocol": cell.run.protocol.name,
                    "seed": cell.run.seed,
                    "record": self.results.get(cell.run.identity, (None, None))[0],
                    "top1": self.results.get(cell.run.identity, (None, None))[1],
                }
                for cell in self.plan.cells
            ],
            "exit_code": self.exit_code,
        }


class Session:
    """A choice of cells with the folders that it works on.

    Args:
        request: what was asked for.
        runs: folder of checkpoints and weights.
        results: folder of records.
        retry: whether to train again what is recorded as failed.

    Raises:
        BenchmarkError: anything in the request that does not exist or does not fit.
    """

    def __init__(self, request: Request, *, runs: Path, results: Path, retry: bool) -> None:
        self.recipes = load_recipes(request.paths)
        self.store, self.workspace = Store(results), Workspace(runs)
        self.cells, self.refusals = cells_of(choice_of(request), self.recipes)
        self.retry = retry
        for run in {
            r.identity: r for c in self.cells for r in c.run.family() if r.weights
        }.values():
            check_weights(run)

    def plan(self) -> Plan:
        """What the cells need, less what is recorded."""
        return make_plan(self.cells, self.store, self.workspace, retry=self.retry)

    def run(
        self,
        *,
        data_dir: Path | None,
        cache_dir: Path,
        precision: str,
        minutes: float | None,
        listener: Listener,
    ) -> Summary:
        """Train and record all that is missing."""
        self.store.check_writable()
        self.workspace.check_writable()
        plan = self.plan()
        accelerator = make_accelerator(precision)
        execution = Execution(
            store=self.store,
            workspace=self.workspace,
            recipes=self.recipes,
            accelerator=accelerator,
            data_dir=data_dir,
            cache_dir=cache_dir,
            listener=listener if accelerator.is_main_process else Listener(),
            minutes=minutes,
        )
        for reason in self.refusals:
            execution.listener.note(f"left out: {reason}")
        try:
            execution.execute(plan)
        finally:
            listener.close()
            accelerator.end_training()
        return Summary(plan, execution.outcomes, self._results(), accelerator.is_main_process)

    def overview(self) -> dict[str, Any]:
        """The plan as plain data: levels of groups, and what needs nothing."""
        plan = self.plan()
        return {
            "cells": len(plan.cells),
            "runs": len(plan.runs),
            "recorded": sum(state is State.done for state in plan.states.values()),
            "to_train": len(plan.todo),
            "left_out": self.refusals,
            "levels": [
                [
                    {
                        "dataset": group[0].card.name,
                        "protocol": group[0].protocol.name,
                        "epochs": lead(group[0], self.recipes) + group[0].protocol.epochs,
                        "seed": group[0].seed,
                        "runs": [
                            {
                                "label": run.label,
                                "identity": run.identity,
                                "state": plan.states[run.identity].value,
                                "record": str(self.store.path_of(run.spec({}))),
                            }
                            for run in group
                        ],
                    }
                    for group in level
                ]
                for level in plan.groups(self.workspace, self.recipes)
            ],
        }

    def coverage(self) -> list[dict[str, Any]]:
        """How many cells are done, failed, stale, missing, by data set, pair and recipe."""
        rows: dict[tuple[str, str, str, str], Counter[str]] = {}
        for cell in self.cells:
            key = (cell.card.name, cell.run.protocol.name, str(cell.pair), cell.run.recipe_label)
            rows.setdefault(key, Counter())[state_of(cell.run, self.store).value] += 1
        return [
            {"dataset": dataset, "protocol": protocol, "pair": pair, "recipe": recipe}
            | {state.value: counts[state.value] for state in State}
            for (dataset, protocol, pair, recipe), counts in rows.items()
        ]

    def records(self) -> list[Record]:
        """Records of the chosen cells and of all that they build on, without stale ones."""
        runs = {run.identity: run for cell in self.cells for run in cell.run.family()}
        found = (self.store.find(run.spec({})) for run in runs.values())
        return [record for record in found if record is not None]

    def _results(self) -> dict[str, tuple[str, float | None]]:
        results = {}
        for cell in self.cells:
            record = self.store.find(cell.run.spec({}))
            if record is not None:
                top1 = record.metrics.top1 if record.metrics else None
                path = str(self.store.path_of(record.spec))
                results[cell.run.identity] = (path, top1)
        return results


def check_weights(run: Run) -> None:
    """Refuse weights that were brought before anything is trained, not after.

    Raises:
        NetworkError: they cannot be read, or are those of another network or class count.
    """
    pictures = run.pictures
    network = create_network(run.network, classes=pictures.classes, image_size=pictures.shape)
    load_weights(network, run.weights or "")
