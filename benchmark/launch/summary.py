"""How a call on the matrix ended, for a person and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.launch.order import Outcome
from benchmark.matrix.plan import Plan
from benchmark.matrix.run import AnyRun
from benchmark.matrix.states import State, notes_on
from benchmark.records.schema import Failure
from benchmark.records.store import Store
from benchmark.training.keeping.workspace import Workspace

MOST_REASONS = 8  # of a screen; the rest is in the records
MOST_CELLS = 4  # of one reason
LONGEST_REASON = 300  # characters


@dataclass(frozen=True)
class FailedRun:
    """A run that is recorded as failed.

    Attributes:
        cell: as ``kdbench show`` takes it.
        status: of the record.
        failure: kind, message, place and epoch.
        traceback: file of the whole error, if it is kept in this folder of runs.
    """

    cell: str
    status: str
    failure: Failure
    traceback: Path | None

    @property
    def reason(self) -> str:
        """What ended it, and where, in one line."""
        failure = self.failure
        first, _, more = failure.message.partition("\n")
        said = f"{first} …" if more else first
        if len(said) > LONGEST_REASON:
            said = f"{said[:LONGEST_REASON]} …"
        where = (
            failure.where if failure.epoch is None else f"{failure.where}, epoch {failure.epoch}"
        )
        return f"{failure.kind}: {said} ({where})"


def failed_runs(runs: Iterable[AnyRun], store: Store, workspace: Workspace) -> list[FailedRun]:
    """Those of the runs that are recorded as failed, in the order of their cells."""
    found = []
    for run in runs:
        record = store.find(run.spec)
        if record is None or record.error is None:
            continue
        cell = store.path_of(run.spec).relative_to(store.root).with_suffix("").as_posix()
        path = workspace.folders.traceback_of(run.identity)
        kept = path if path.is_file() else None
        found.append(FailedRun(cell, record.status, record.error, kept))
    return sorted(found, key=lambda failed: failed.cell)


def told(failed: Sequence[FailedRun]) -> list[str]:
    """Lines for a person: every reason once, the cells below it, and where to read on."""
    by_reason: dict[str, list[FailedRun]] = {}
    for one in failed:
        by_reason.setdefault(one.reason, []).append(one)
    lines: list[str] = []
    for reason, runs in list(by_reason.items())[:MOST_REASONS]:
        lines.append(f"  {reason}")
        lines += [f"    {run.cell}" for run in runs[:MOST_CELLS]]
        if len(runs) > MOST_CELLS:
            lines.append(f"    … and {len(runs) - MOST_CELLS} more")
        if kept := next((run.traceback for run in runs if run.traceback), None):
            lines.append(f"    the whole error: {kept}")
    if (more := len(by_reason) - MOST_REASONS) > 0:
        lines.append(f"  … and {more} more reasons; the records have them")
    return lines


def tracebacks(failed: Iterable[FailedRun]) -> list[str]:
    """The whole errors that are kept, each reason's once, headed by its cell."""
    texts: dict[str, str] = {}
    for one in failed:
        if one.traceback is not None and one.reason not in texts:
            text = one.traceback.read_text(encoding="utf-8", errors="replace")
            texts[one.reason] = f"{one.cell}\n{text}"
    return list(texts.values())


@dataclass(frozen=True)
class Summary:
    """How a call ended.

    Attributes:
        plan: what was to do.
        outcomes: of the runs that were to be trained, by identity.
        results: path of the record of every cell, as far as there is one, with its top-1.
        is_main_process: whether this process speaks for all.
        ended_by: number of the signal that stopped it, if one did.
        failed: the runs of the plan that are recorded as failed.
    """

    plan: Plan
    outcomes: Mapping[str, Outcome]
    results: Mapping[str, tuple[str, float | None]]
    is_main_process: bool = True
    ended_by: int | None = None
    failed: Sequence[FailedRun] = ()

    def count(self, outcome: Outcome) -> int:
        """The number of runs that ended so."""
        return sum(found is outcome for found in self.outcomes.values())

    @property
    def given_up(self) -> int:
        """Runs recorded as failed earlier, and not tried again."""
        return len(self.plan.left(State.failed))

    @property
    def damaged(self) -> int:
        """Runs whose record cannot be read or trusted, and that were not trained again."""
        return len(self.plan.left(State.damaged))

    @property
    def exit_code(self) -> int:
        """0, or 1 if runs have no result though nobody stopped them; 130, 143 after a signal."""
        if self.ended_by is not None:
            return 128 + self.ended_by
        fine = (Outcome.recorded, Outcome.unfinished)
        bad = sum(outcome not in fine for outcome in self.outcomes.values())
        return 1 if bad + self.given_up + self.damaged else 0

    def lines(self) -> list[str]:
        """What a person must know beside the table."""
        lines = []
        for outcome, text in (
            (Outcome.failed, "failed; 'kdbench show CELL' shows the record"),
            (Outcome.blocked, "could not be trained because a run that they build on failed"),
            (Outcome.refused, "could not be trained here; what was said of it above tells why"),
            (
                Outcome.disturbed,
                "did not finish because of the faults that are named above: mend what failed, the "
                "same command continues",
            ),
            (Outcome.unfinished, "did not finish: the same command continues"),
        ):
            if number := self.count(outcome):
                lines.append(f"{number} {'run' if number == 1 else 'runs'} {text}.")
        return [*lines, *told(self.failed), *notes_on(self.plan.left()), *self.plan.elsewhere()]

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "outcomes": dict(Counter(outcome.value for outcome in self.outcomes.values())),
            "given_up": self.given_up,
            "damaged": self.damaged,
            "notes": [*notes_on(self.plan.left()), *self.plan.elsewhere()],
            "failed": [
                {
                    "cell": one.cell,
                    "status": one.status,
                    "reason": one.reason,
                    "traceback": one.traceback and str(one.traceback),
                }
                for one in self.failed
            ],
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
