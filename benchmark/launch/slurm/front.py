"""The command that submitted the jobs: it watches their folder, and says what it sees.

It trains nothing and writes no record: ended at any moment, it leaves the jobs as they are.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field

from benchmark.errors import RecordError, TrainingError
from benchmark.events import Listener
from benchmark.launch.ends import named
from benchmark.launch.means import Means
from benchmark.launch.order import Order, Outcome
from benchmark.launch.progress import at_work
from benchmark.launch.slurm.jobs import Jobs, submit
from benchmark.launch.slurm.worker import Worker
from benchmark.launch.times.trend import Trend, images_left
from benchmark.matrix.run import AnyRun
from benchmark.training.keeping.workspace import Workspace

LOOK_S = 5.0  # seldom enough for a controller with thousands of jobs
TELL_S = 60.0  # between two lines about one run that is being trained
AFTER_S = 10.0  # for what a job wrote at its end to be seen from here


@dataclass
class Front:
    """Watches jobs.

    Args:
        order: of the plan that they train.
        jobs: that were submitted.
        workspace: where they keep checkpoints and weights.
        listener: is told of what is seen.
        look_s: between two looks.
    """

    order: Order
    jobs: Jobs
    workspace: Workspace
    listener: Listener
    look_s: float
    _told: dict[str, int] = field(default_factory=dict, init=False)
    _told_at: float = field(default=0.0, init=False)
    _trend: Trend = field(default_factory=Trend, init=False)

    def watch(self) -> int | None:
        """Look until all is done, or no job is left.

        Returns:
            The number of the signal that ended it, if one did.

        Raises:
            TrainingError: all jobs ended without a result.
        """
        ended_by = None
        try:
            self._watch()
        except KeyboardInterrupt:
            self.listener.note(_how_to_go_on(self.jobs))
            ended_by = int(signal.SIGINT)
        for run in list(self.order.open.values()):
            if run.identity in self.order.open:
                self._end(run, Outcome.unfinished, "not seen to its end" if ended_by else "")
        return ended_by

    def _watch(self) -> None:
        while self.order.open:
            for job, state in self.jobs.look().items():
                self.listener.note(f"job {job}: {state}")
            seen = self._see()
            if not seen and not self.jobs.alive:
                time.sleep(min(AFTER_S, self.look_s))
                if not self._see():
                    self._explain()
                    return
            self._tell_of_work()
            time.sleep(self.look_s)
        self.jobs.drop_waiting()

    def _see(self) -> bool:
        """Tell of the runs that the jobs have recorded meanwhile; whether there are any."""
        seen = False
        for run in list(self.order.open.values()):
            outcome = self.order.news(run) if run.identity in self.order.open else None
            if outcome is not None:
                self._end(run, outcome, self._score(run))
                seen = True
        return seen

    def _tell_of_work(self) -> None:
        """Say from time to time who trains what, how far it is, and what is left of all."""
        if time.monotonic() - self._told_at < TELL_S:
            return
        self._told_at = time.monotonic()
        works = list(at_work(self.order.open.values(), self.workspace))
        left = images_left(self.order.open.values(), works)
        self.listener.time_left(self._trend.left(left, self._told_at))
        for work in works:
            name = f"{work.dataset}, {work.protocol}, seed {work.seed}: {work.label}"
            if work.host and self._told.get(name) != work.epoch:
                self._told[name] = work.epoch
                self.listener.note(
                    f"{work.host} trains {name}, epoch {work.epoch} of {work.epochs}"
                )

    def _score(self, run: AnyRun) -> str:
        try:
            record = self.order.store.find(run.spec)
        except RecordError:
            return ""
        if record is not None and record.metrics is not None:
            return f"{record.metrics.top1:.2f} %"
        return f"{record.status}: {record.error.message}" if record and record.error else ""

    def _end(self, run: AnyRun, outcome: Outcome, said: str = "") -> None:
        for ended, how in self.order.end(run, outcome):
            tell = self.listener.run_finished if how.is_recorded else self.listener.run_left
            tell(named(ended), said if ended is run and said else how.value)

    def _explain(self) -> None:
        """All jobs are over, and not all is done."""
        for job, state in self.jobs.states.items():
            tail = self.jobs.tail(job)
            self.listener.note(f"job {job}: {state}. Its log {self.jobs.logs[job]} ends:\n{tail}")
        if not any(outcome is Outcome.recorded for outcome in self.order.outcomes.values()):
            raise TrainingError(
                "all jobs ended without a result; their logs, whose ends stand above, say why."
            )


def train_in_jobs(
    words: tuple[str, ...], means: Means, order: Order, workspace: Workspace, listener: Listener
) -> int | None:
    """Submit jobs, and watch them unless the user wants to leave at once.

    Args:
        words: of the command that each runs.
        means: what was chosen.
        order: of the plan.
        workspace: where they keep checkpoints and weights, and Slurm's scripts and logs.
        listener: hears of the progress.

    Returns:
        The number of the signal that ended the watching, if one did.

    Raises:
        UsageError: Slurm is not here, or refuses the jobs.
        TrainingError: all jobs ended without a result.
    """
    folder = workspace.root.resolve() / "slurm"
    jobs = submit(Worker(words), means, folder)
    listener.note(f"submitted {len(jobs.logs)} jobs as {jobs.number}; their logs are in {folder}")
    if means.options.get("detach"):
        listener.note(_how_to_go_on(jobs))
        return None
    return Front(order, jobs, workspace, listener, LOOK_S).watch()


def _how_to_go_on(jobs: Jobs) -> str:
    return (
        f"The jobs go on. To see them: 'squeue -j {jobs.number}' and 'kdbench status --watch' with "
        f"the same choice; to end them: 'scancel {jobs.number}'."
    )
