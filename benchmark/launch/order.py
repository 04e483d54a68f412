"""The order of the work: what of a plan can be trained now, and what cannot any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import StrEnum

from benchmark.matrix.plan import Group, Kept, Plan, grouped, has_weights
from benchmark.matrix.run import AnyRun, Run
from benchmark.records.store import Store


class Outcome(StrEnum):
    """How a run of the plan ended in this call.

    ``unfinished``: someone stopped it, or its time was up. ``disturbed``: its surroundings failed,
    and it was given up for now. ``blocked``: a run that it builds on has no result. ``refused``:
    nothing of it can be trained here.
    """

    recorded = "recorded"
    failed = "failed"
    unfinished = "unfinished"
    disturbed = "disturbed"
    blocked = "blocked"
    refused = "refused"

    @property
    def is_recorded(self) -> bool:
        """Whether a record says how the run ended."""
        return self in (Outcome.recorded, Outcome.failed)


class Order:
    """The runs of a plan that are still open, and how the others ended.

    It remembers no result: what other processes record in the meantime is found in the store.

    Args:
        plan: what is to do.
        store: of records.
        kept: tells where weights and checkpoints are.
        lead: epochs that a run's recipe trains before the protocol's own.

    Attributes:
        open: runs that have not ended, by identity; each stands behind those that it builds on.
        outcomes: of those that have.
    """

    def __init__(self, plan: Plan, store: Store, kept: Kept, lead: Callable[[Run], int]) -> None:
        self.plan, self.store, self.kept, self.lead = plan, store, kept, lead
        self.open: dict[str, AnyRun] = {run.identity: run for run in plan.todo}
        self.outcomes: dict[str, Outcome] = {}
        self._leads: dict[str, int] = {}
        self._can_be_built_on: set[str] = set()
        # What failed before this call and is not tried again blocks what builds on it.
        self._settle()

    def ready(self, taken: Collection[str]) -> list[Group]:
        """Groups of runs that could start now.

        Args:
            taken: identities of runs that are being trained.
        """
        runs = [
            run
            for identity, run in self.open.items()
            if identity not in taken
            and all(self._outcome_of(role) is Outcome.recorded for role in run.roles.values())
        ]
        return grouped(runs, self.kept, self._lead_of) if runs else []

    def end(self, run: AnyRun, outcome: Outcome) -> Iterator[tuple[AnyRun, Outcome]]:
        """Note how a run ended.

        Yields:
            The run with its outcome, then those that cannot be trained because of it.
        """
        del self.open[run.identity]
        self.outcomes[run.identity] = outcome
        yield run, outcome
        yield from self._settle()

    def news(self, run: AnyRun) -> Outcome | None:
        """How another process ended an open run since this call began; None if none did."""
        record = self.store.find(run.spec)
        known = self.plan.known[run.identity]
        if known.has_result and run.identity not in self.plan.again:  # open for its weights alone
            return Outcome.recorded if has_weights(run, self.store, self.kept) else None
        if record is None or record.checksum == known.checksum:
            return None  # what the plan was made with
        if record.status != "ok":
            return Outcome.failed
        wanted = any(run.identity in _built_on(other) for other in self.open.values())
        if wanted and not has_weights(run, self.store, self.kept):
            return None  # its weights went
        return Outcome.recorded

    def _settle(self) -> list[tuple[AnyRun, Outcome]]:
        """End the runs that cannot be trained any more because of others."""
        ended = []
        for run in list(self.open.values()):  # those that build on others stand behind them
            built_on = {self._outcome_of(role) for role in run.roles.values()}
            outcome = None
            if built_on & {Outcome.failed, Outcome.blocked, Outcome.refused}:
                outcome = Outcome.blocked
            elif built_on & {Outcome.unfinished, Outcome.disturbed}:
                outcome = Outcome.unfinished
            if outcome is not None:
                del self.open[run.identity]
                self.outcomes[run.identity] = outcome
                ended.append((run, outcome))
        return ended

    def _outcome_of(self, role: AnyRun) -> Outcome | None:
        """How a run ended that others build on; None while it is open."""
        if role.identity in self.open:
            return None
        if role.identity in self.outcomes:
            return self.outcomes[role.identity]
        if role.identity in self._can_be_built_on or has_weights(role, self.store, self.kept):
            # Asked for once: a thousand runs may build on it. Weights that are taken away later
            # are missed by the run that needs them, which says so.
            self._can_be_built_on.add(role.identity)
            return Outcome.recorded
        return Outcome.failed

    def _lead_of(self, run: Run) -> int:
        """As ``lead`` tells; a recipe is asked once for every run."""
        if run.identity not in self._leads:
            self._leads[run.identity] = self.lead(run)
        return self._leads[run.identity]


def _built_on(run: AnyRun) -> set[str]:
    return {role.identity for role in run.roles.values()}
