"""The order of the work: which group comes next, and which runs of it can start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from benchmark.matrix.plan import Group, Kept, Plan, State
from benchmark.matrix.run import AnyRun, ImportedRun, Run


class Outcome(StrEnum):
    """How a run of the plan ended in this call."""

    recorded = "recorded"
    failed = "failed"
    unfinished = "unfinished"
    blocked = "blocked"


class Order:
    """The groups of a plan, those first on which others build.

    It holds no results: it is told how runs of this call ended, and asks where weights are.

    Args:
        plan: what is to do.
        kept: tells where weights and checkpoints are.
        lead: epochs that a run's recipe trains before the protocol's own.
    """

    def __init__(self, plan: Plan, kept: Kept, lead: Callable[[Run], int]) -> None:
        self.plan, self.kept, self.lead = plan, kept, lead

    def groups(self) -> Iterator[Group]:
        """All groups, each behind those that it builds on."""
        for level in self.plan.levels(self.kept, self.lead):
            yield from level

    def obstacle(self, run: AnyRun, ended: Mapping[str, Outcome]) -> Outcome | None:
        """Why a run cannot start: what it builds on failed, or is unfinished; None if it can.

        Args:
            run: of the plan.
            ended: the outcomes of this call by identity.
        """
        built_on = {self._outcome_of(role, ended) for role in run.roles.values()}
        if built_on & {Outcome.failed, Outcome.blocked}:
            return Outcome.blocked
        return Outcome.unfinished if Outcome.unfinished in built_on else None

    def _outcome_of(self, role: AnyRun, ended: Mapping[str, Outcome]) -> Outcome:
        if role.identity in ended:
            return ended[role.identity]
        # What is done and not to be trained has its weights, or the plan would say otherwise.
        is_done = self.plan.states[role.identity] is State.done
        return Outcome.recorded if is_done or isinstance(role, ImportedRun) else Outcome.failed
