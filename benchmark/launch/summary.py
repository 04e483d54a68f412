"""How a call on the matrix ended, for a person and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.launch.order import Outcome
from benchmark.matrix.plan import Plan
from benchmark.matrix.states import State, notes_on


@dataclass(frozen=True)
class Summary:
    """How a call ended.

    Attributes:
        plan: what was to do.
        outcomes: of the runs that were to be trained, by identity.
        results: path of the record of every cell, as far as there is one, with its top-1.
        is_main_process: whether this process speaks for all.
        ended_by: number of the signal that stopped it, if one did.
    """

    plan: Plan
    outcomes: Mapping[str, Outcome]
    results: Mapping[str, tuple[str, float | None]]
    is_main_process: bool = True
    ended_by: int | None = None

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
            (Outcome.failed, "failed: their records say why ('kdbench show CELL')"),
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
        return lines + notes_on(self.plan.left())

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "outcomes": dict(Counter(outcome.value for outcome in self.outcomes.values())),
            "given_up": self.given_up,
            "damaged": self.damaged,
            "notes": notes_on(self.plan.left()),
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
