"""A plan is carried out: here, in other processes, or in jobs of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.events import Listener, Planned
from benchmark.launch.claims import Claims
from benchmark.launch.conductor import Conductor
from benchmark.launch.launcher import Launcher
from benchmark.launch.means import Means, make_launcher
from benchmark.launch.order import Order, Outcome
from benchmark.launch.published import fetch_published
from benchmark.launch.signals import stopping_at_signals
from benchmark.launch.slurm.command import job_words
from benchmark.launch.slurm.front import train_in_jobs
from benchmark.launch.times.forecast import Forecasts
from benchmark.launch.times.outlook import NoOutlook, Outlook
from benchmark.launch.workers.inline import Inline
from benchmark.matrix.plan import Plan
from benchmark.matrix.request import Request
from benchmark.matrix.run import AnyRun
from benchmark.matrix.states import Retry
from benchmark.records.places import place_of
from benchmark.records.store import Store
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.walls.listening import Steady
from benchmark.work.fitting import lead
from benchmark.work.outputs import check_outputs
from benchmark.work.recording import Recorder


@dataclass(frozen=True)
class Assignment:
    """What is to be trained, and the folders that it goes to.

    Attributes:
        plan: what is to do.
        store: of records.
        workspace: of checkpoints and weights.
        request: that the plan was made from, for those who make it again elsewhere.
        retry: what is trained again although it is recorded.
        teachers: files of teacher weights by network, with their sha256.
    """

    plan: Plan
    store: Store
    workspace: Workspace
    request: Request
    retry: Collection[Retry]
    teachers: Mapping[str, tuple[Path, str]]


@dataclass(frozen=True)
class Carried:
    """How an assignment was carried out.

    Attributes:
        outcomes: of the runs that were to be trained, by identity.
        ended_by: number of the signal that stopped it, if one did.
    """

    outcomes: Mapping[str, Outcome]
    ended_by: int | None


def carry_out(
    assignment: Assignment, means: Means, listener: Listener, *, left_out: Iterable[str] = ()
) -> Carried | None:
    """Train and record what is to be trained.

    Args:
        assignment: what it is.
        means: with what.
        listener: hears of the progress.
        left_out: why cells of the choice are not in the plan.

    Returns:
        How it went; None in a process that only followed the one that leads.

    Raises:
        BenchmarkError: data or published weights cannot be had, or the means do not fit.
    """
    plan = assignment.plan
    order = Order(plan, assignment.store, assignment.workspace, lead)
    launcher = None
    if means.launcher != "slurm":
        launcher = make_launcher(means, assignment.workspace.root)
        if isinstance(launcher, Inline) and not launcher.leads:
            launcher.follow()
            return None
    listener.planned([_planned(run) for run in plan.todo])
    listener.matrix_started(len(plan.todo), len(plan.runs) - len(plan.todo))
    for reason in left_out:
        listener.note(f"left out: {reason}")
    try:
        if means.keep is not None and means.launcher == "local":  # elsewhere each says it itself
            check_outputs(plan.todo, means.keep, listener)
        if launcher is None:
            ended_by = _in_jobs(assignment, means, order, listener)
        else:
            outlook = _outlook(order, means, listener)
            outlook.say()
            ended_by = _with(launcher, assignment, order, listener, outlook)
    finally:
        listener.close()
    return Carried(order.outcomes, ended_by)


def _planned(run: AnyRun) -> Planned:
    cell = place_of(run.spec).with_suffix("").as_posix()
    return Planned(run.identity, run.label, cell, run.spec.model_dump(mode="json"))


def _with(
    launcher: Launcher,
    assignment: Assignment,
    order: Order,
    listener: Listener,
    outlook: NoOutlook,
) -> int | None:
    """Have the work done by a launcher; the signal that stopped it, if one did."""
    plan = assignment.plan
    recorder = Recorder(assignment.store, assignment.workspace)
    recorder.remember(plan.runs)
    recorder.again = {identity: plan.known[identity].checksum for identity in plan.again}
    # What cannot be had is said before anything is trained.
    recorder.published = fetch_published(plan.todo, listener)
    conductor = Conductor(
        order,
        Claims(assignment.workspace.folder),
        launcher,
        recorder,
        listener,
        teachers=assignment.teachers,
        paths=tuple(assignment.request.paths),
        outlook=outlook,
    )

    def leave() -> None:
        launcher.close()
        listener.close()

    with stopping_at_signals(launcher.halt, say=listener.note, leave=leave) as came:
        conductor.run()
    return came[0] if came else None


def _outlook(order: Order, means: Means, listener: Listener) -> NoOutlook:
    """Who tells what is left; whatever is wrong with what is foretold, the work goes on."""
    if not order.open:
        return NoOutlook()
    try:
        forecasts = Forecasts(order, means)
        # Where teachers are read instead of run, a group is faster than others of its kind.
        keeps = means.launcher == "local" and means.keeps is None
        return Outlook(forecasts, Steady(listener), keeps=keeps)
    except Exception as error:
        listener.note(f"how long it will take is not known: {error}")
        return NoOutlook()


def _in_jobs(assignment: Assignment, means: Means, order: Order, listener: Listener) -> int | None:
    """Submit jobs that train what is missing, and watch them."""
    if not order.open:
        return None
    words = job_words(
        assignment.request,
        means,
        runs=assignment.workspace.root,
        results=assignment.store.root,
        retry=assignment.retry,
    )
    return train_in_jobs(words, means, order, assignment.workspace, listener)
