"""One call on the matrix: choose, plan, train, sum up."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmark.events import Listener
from benchmark.files import sweep
from benchmark.launch.assignment import Assignment, carry_out
from benchmark.launch.claims import abandoned, clear
from benchmark.launch.means import Means
from benchmark.launch.order import Order
from benchmark.launch.progress import AtWork, at_work
from benchmark.launch.summary import Summary, failed_runs
from benchmark.launch.times.forecast import Forecasts, GroupForecast
from benchmark.matrix.elsewhere import Elsewhere, note
from benchmark.matrix.plan import Plan, cells_of, make_plan
from benchmark.matrix.request import Request, choice_of
from benchmark.matrix.run import AnyRun, ImportedRun, Run
from benchmark.matrix.states import Known, Retry, State, known_of, notes_on
from benchmark.recipe.discovery import load_recipes
from benchmark.records.schema import Record
from benchmark.records.store import Store
from benchmark.training.keeping.folders import WorkspaceError
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.fitting import Fitting, lead
from benchmark.work.roles import brought_network


class Session:
    """A choice of cells with the folders that it works on.

    Args:
        request: what was asked for.
        runs: folder of checkpoints and weights.
        results: folder of records.
        retry: what to train again although it is recorded; True is ``failed``.

    Raises:
        BenchmarkError: anything in the request that does not exist or does not fit.
    """

    def __init__(
        self, request: Request, *, runs: Path, results: Path, retry: bool | Collection[Retry] = ()
    ) -> None:
        self.request = request
        self.retry = ([Retry.failed] if retry else []) if isinstance(retry, bool) else retry
        self.recipes = load_recipes(request.paths)
        self.store, self.workspace = Store(results), Workspace(runs)
        self.choice = choice_of(request)
        self.cells, self.refusals = cells_of(self.choice, self.recipes, Fitting().refusal)
        for run in self.runs().values():
            if isinstance(run, ImportedRun):
                brought_network(run)  # refused now, not after others were trained

    def runs(self) -> dict[str, AnyRun]:
        """All runs that the cells need, by identity."""
        return {run.identity: run for cell in self.cells for run in cell.run.family()}

    def plan(self) -> Plan:
        """What the cells need, less what is recorded."""
        return make_plan(self.cells, self.store, self.workspace, retry=self.retry)

    def run(self, means: Means, listener: Listener) -> Summary:
        """Train and record all that is missing.

        Args:
            means: with what.
            listener: hears of the progress.

        Raises:
            BenchmarkError: data or published weights cannot be had, or a folder cannot be written.
        """
        plan = self.plan()
        self._make_ready(plan, means.cache_dir)
        assignment = Assignment(
            plan, self.store, self.workspace, self.request, self.retry, self.choice.teachers
        )
        outcome = carry_out(assignment, means, listener, left_out=self.refusals)
        if outcome is None:
            return Summary(plan, {}, {}, is_main_process=False)
        return Summary(
            plan,
            outcome.outcomes,
            self._results(),
            ended_by=outcome.ended_by,
            failed=failed_runs(plan.runs, self.store, self.workspace),
        )

    def _make_ready(self, plan: Plan, cache_dir: Path) -> None:
        """See that the folders can be written, and remove what dead processes left in them."""
        self.store.check_writable(run.spec for run in plan.todo)
        self.workspace.check_writable()
        for folder in (self.store.root, self.workspace.root, cache_dir):
            sweep(folder)
        for path, holder in abandoned(self.workspace.root):  # nobody claims a recorded run again
            with contextlib.suppress(OSError):
                clear(path, holder)
        half_trained = {path.parent for path in self.workspace.root.glob("*/checkpoint*")}
        todo = {run.identity for run in plan.todo}
        for run in plan.runs:
            folder, known = self.workspace.folder(run.identity), plan.known[run.identity]
            if folder not in half_trained or run.identity in todo or not known.has_result:
                continue
            if not any(folder.glob("claim-*")):  # recorded in a process's last moment
                with contextlib.suppress(WorkspaceError):
                    self.workspace.checkpoints.drop(run.identity)

    def forecasts(self, means: Means) -> Forecasts:
        """Tells how long what is missing takes with some means."""
        return Forecasts(Order(self.plan(), self.store, self.workspace, lead), means)

    def overview(self, means: Means) -> dict[str, Any]:
        """The plan as plain data: levels of groups with their times, and what needs nothing.

        Args:
            means: with what it would be trained.
        """
        forecasts = self.forecasts(means)
        plan, forecast = forecasts.order.plan, forecasts.plan()
        return {
            "cells": len(plan.cells),
            "runs": len(plan.runs),
            "recorded": sum(known.has_result for known in plan.known.values()),
            "to_train": len(plan.todo),
            "left_out": self.refusals,
            "notes": [*notes_on(plan.left()), *plan.elsewhere()],
            "workers": forecast.workers,
            "seconds": forecast.seconds,
            "groups_of_unknown_time": forecast.unknown,
            "levels": [
                [self._group_overview(plan, group) for group in level] for level in forecast.levels
            ],
        }

    def _group_overview(self, plan: Plan, forecast: GroupForecast) -> dict[str, Any]:
        group = forecast.runs
        return {
            "dataset": group[0].card.name,
            "protocol": group[0].protocol.name,
            "epochs": _epochs(group[0]),
            "seed": group[0].spec.seed,
            **forecast.as_json(),
            "runs": [
                {
                    "label": run.label,
                    "identity": run.identity,
                    "state": plan.known[run.identity].state.value,
                    "reason": plan.known[run.identity].reason,
                    "epoch": self.workspace.stands(run.identity, run.source)[0].epoch,
                    "record": str(self.store.path_of(run.spec)),
                }
                for run in group
            ],
        }

    def known(self) -> dict[str, Known]:
        """What is known of every run that the cells need, by identity."""
        elsewhere = Elsewhere(self.store, self.workspace)
        return known_of(self.runs().values(), self.store, elsewhere)

    def coverage(self) -> list[dict[str, Any]]:
        """How many cells are in each state, by data set, pair and recipe, and why if not done."""
        known = self.known()
        rows: dict[tuple[str, str, str, str], list[Known]] = {}
        for cell in self.cells:
            key = (cell.card.name, cell.run.protocol.name, str(cell.pair), cell.run.recipe_label)
            rows.setdefault(key, []).append(known[cell.run.identity])
        return [
            {"dataset": dataset, "protocol": protocol, "pair": pair, "recipe": recipe}
            | {state.value: sum(one.state is state for one in found) for state in State}
            | {"reasons": sorted({one.reason for one in found if one.reason})}
            for (dataset, protocol, pair, recipe), found in rows.items()
        ]

    def at_work(self) -> list[AtWork]:
        """The runs of the choice that are being trained, by whomever, or are half trained."""
        known, runs = self.known(), self.runs()
        open_ones = (run for identity, run in runs.items() if not known[identity].has_result)
        return list(at_work(open_ones, self.workspace))

    def notes(self) -> list[str]:
        """What a person must know of what is recorded and not done."""
        known = self.known()
        return [
            *notes_on(known.values()),
            *note([known[c.run.identity].elsewhere for c in self.cells]),
        ]

    def records(self) -> list[Record]:
        """Records of the chosen cells and of all that they build on, without stale ones."""
        found = (self.store.find(run.spec) for run in self.runs().values())
        return [record for record in found if record is not None]

    def example(self) -> tuple[str, bool] | None:
        """The best of the chosen cells, else a run that has a record; None if nothing has.

        Returns:
            It, as ``kdbench show`` takes it, and whether it is a cell with a result.
        """
        scored = [(top1, path) for path, top1 in self._results().values() if top1 is not None]
        found = [str(self.store.path_of(record.spec)) for record in self.records()]
        path = max(scored)[1] if scored else min(found, default=None)
        if path is None:
            return None
        cell = Path(path).relative_to(self.store.root).with_suffix("").as_posix()
        return cell, bool(scored)

    def _results(self) -> dict[str, tuple[str, float | None]]:
        results = {}
        for cell in self.cells:
            record = self.store.find(cell.run.spec)
            if record is not None:
                top1 = record.metrics.top1 if record.metrics else None
                path = str(self.store.path_of(record.spec))
                results[cell.run.identity] = (path, top1)
        return results


def _epochs(run: AnyRun) -> int:
    """All that a run trains, its recipe's first stages included."""
    return run.protocol.epochs + (lead(run) if isinstance(run, Run) else 0)
