"""The matrix from its first group to its last: who trains what, and what becomes of it.

Groups that are ready are claimed and given to a launcher; how their members end is recorded at
once. A group that runs out of memory is tried again in halves, one whose process died member by
member, so that the run that is to blame is found and no other suffers from it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import BenchmarkError, TrainingError
from benchmark.events import Listener
from benchmark.launch.claims import Claims
from benchmark.launch.launcher import Died, Ended, Heard, Launcher, Message, Opening, Refused
from benchmark.launch.order import Order, Outcome
from benchmark.launch.telling import Retelling
from benchmark.matrix.plan import Group
from benchmark.matrix.run import AnyRun, Run
from benchmark.records.schema import Environment, Failure, Status
from benchmark.training.ending import Disturbed, Ending, Failed, Finished, Stopped
from benchmark.work.recording import Recorder
from benchmark.work.train import GroupSpec

LOOK_S = 1.0  # how often others' progress is looked at while there is nothing to do here
PAUSES_S = (5.0, 60.0, 300.0)  # before another try, after a fault that lasts
TRIES = 3  # of a run whose surroundings failed it, or whose process somebody ended


@dataclass
class Conductor:
    """Has a plan trained.

    Args:
        order: of the plan.
        claims: on runs of the folder.
        launcher: does the work.
        recorder: writes what comes of it.
        listener: hears of the progress.
        teachers: files of teacher weights by network, with their sha256.
        paths: folders with further recipes.
        pauses_s: before another try, after a fault of the surroundings that lasts.
    """

    order: Order
    claims: Claims
    launcher: Launcher
    recorder: Recorder
    listener: Listener
    teachers: Mapping[str, tuple[Path, str]]
    paths: tuple[Path, ...]
    pauses_s: Sequence[float] = PAUSES_S
    _running: dict[int, list[AnyRun]] = field(default_factory=dict)
    _again: list[tuple[float, list[AnyRun]]] = field(default_factory=list)
    _tries: Counter[str] = field(default_factory=Counter)
    _waits_for: set[str] = field(default_factory=set)
    _number: int = 0
    _environment: Environment | None = None
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._retell = Retelling(self.listener)
        self.launcher.hear = self._hear
        self.halt = self.launcher.halt

    def run(self) -> None:
        """Train all that is to do; a fault of one run stops only what builds on it."""
        plan = self.order.plan
        for identity, outcome in self.order.outcomes.items():
            self._say(next(run for run in plan.todo if run.identity == identity), outcome)
        try:
            with self.launcher:
                self._open_data()
                while self.order.open:
                    self._give_work()
                    if self._running:
                        self._take(self.launcher.wait(LOOK_S))
                    elif self._stopping:
                        break
                    else:
                        self._look_around()
        finally:
            self.claims.close()
        for run in list(self.order.open.values()):
            if run.identity in self.order.open:
                self._ends(run, Outcome.unfinished)

    # ------------------------------------------------------------------------ giving work

    def _open_data(self) -> None:
        """Have data opened and kept: what cannot be had is said before anything is trained."""
        runs = self.order.open.values()
        data = {(run.card.name, run.pictures): (run.card, run.protocol) for run in runs}
        if not data:
            return
        self.launcher.start(self._next(), Opening(tuple(data.values())))
        while self.launcher.busy:
            for message in self.launcher.wait(LOOK_S):
                if isinstance(message, Refused):
                    raise message.error
                if isinstance(message, Ended):
                    self._environment = message.environment
                if isinstance(message, Died):
                    raise TrainingError(
                        f"opening the data ended its process: {message.reason}. Is there enough "
                        "memory? 'kdbench data check NAME' looks at a data set alone."
                    )
            self._stop_if_asked()

    def _give_work(self) -> None:
        """Fill the launcher's slots with groups that are ready."""
        if self._stop_if_asked():
            return
        while len(self.launcher.busy) < self.launcher.slots:
            runs = self._due() or self._claimed()
            if not runs:
                return
            number = self._next()
            self._running[number] = runs
            spec = GroupSpec.of(runs, teachers=self.teachers, paths=self.paths)
            self.launcher.start(number, spec)

    def _due(self) -> list[AnyRun]:
        """Runs that get another try now."""
        for number, (at, _) in enumerate(self._again):
            if time.monotonic() >= at:
                return self._again.pop(number)[1]
        return []

    def _claimed(self) -> list[AnyRun]:
        """The runs of the next group that is ready and that nobody else trains."""
        at_hand = [*self._running.values(), *(runs for _, runs in self._again)]
        taken = {run.identity for runs in at_hand for run in runs}
        free = self.launcher.slots - len(self.launcher.busy)
        for group in shared_out(self.order.ready(taken), free):
            runs: list[AnyRun] = []
            for run in group:
                if not self.claims.take(run.identity, run.label):
                    self._waits_for.add(run.identity)
                    if not runs:
                        break  # another process has just taken this group
                elif (outcome := self.order.news(run)) is not None:
                    self._ends(run, outcome, by_another=True)
                else:
                    runs.append(run)
            if runs:
                return runs
        return []

    def _stop_if_asked(self) -> bool:
        """Pass on to the launcher that all shall stop; whether it shall."""
        if not self._stopping and (self.halt.asked or self.halt.late()):
            self._stopping = True
            self.launcher.stop()
        return self._stopping

    def _next(self) -> int:
        self._number += 1
        return self._number

    # ------------------------------------------------------------------- what is heard of it

    def _hear(self, heard: Heard) -> None:
        runs = self._running.get(heard.work, [])
        if heard.method == "group_started":
            *_, epochs, done = heard.arguments
            self._tell(runs, done, epochs)
        elif heard.method == "epoch_finished":
            self._tell(runs, heard.arguments[0], None)
        self._retell(heard)

    def _tell(self, runs: Sequence[AnyRun], epoch: int, epochs: int | None) -> None:
        for run in runs:
            self.claims.tell(run.identity, epoch, epochs)

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._retell.over(message.work)
            runs = self._running.pop(message.work, [])
            match message:
                case Ended(endings=endings, environment=environment):
                    self._environment = environment
                    self._took_end(runs, endings)
                case Refused(error=error):
                    self.listener.note(str(error))
                    for run in runs:
                        self._release(run, Outcome.refused)
                case Died():
                    self._took_death(runs, message)

    def _took_end(self, runs: Sequence[AnyRun], endings: Sequence[Ending]) -> None:
        """Record how the members of a group ended; who needs another try gets it."""
        crowded_out: list[AnyRun] = []
        disturbed: list[tuple[AnyRun, Disturbed]] = []
        for run, ending in zip(runs, endings, strict=True):
            match ending:
                case Failed(status="oom") if len(runs) > 1:
                    crowded_out.append(run)
                case Disturbed():
                    disturbed.append((run, ending))
                case Stopped(epochs=epochs, of=of):
                    said = f"stopped after epoch {epochs} of {of}; the same command continues"
                    self._release(run, Outcome.unfinished, said)
                case Finished() | Failed():
                    self._record(run, ending)
        if crowded_out:
            parts = halves(crowded_out) if len(crowded_out) == len(runs) else [crowded_out]
            sizes = " and ".join(str(len(part)) for part in parts)
            self.listener.note(f"out of memory with {len(runs)} runs side by side: again {sizes}")
            self._again += [(0.0, part) for part in parts]
        self._try_again(disturbed)

    def _took_death(self, runs: Sequence[AnyRun], death: Died) -> None:
        if len(runs) > 1:
            self.listener.note(f"{death.reason}: its {len(runs)} runs are tried one by one")
            self._again += [(0.0, [run]) for run in runs]
        elif death.cause == "lost":
            self._try_again([(run, Disturbed(death.reason, lasting=False)) for run in runs])
        else:
            status: Status = "oom" if death.cause == "memory" else "failed"
            failure = Failure(kind="Died", message=death.reason, where="its process")
            for run in runs:
                self._record(run, Failed(status, failure))

    def _try_again(self, disturbed: Sequence[tuple[AnyRun, Disturbed]]) -> None:
        """Give runs whose surroundings failed another try, as often as that is sensible."""
        again = []
        for run, disturbance in disturbed:
            tried = self._tries[run.identity]
            self._tries[run.identity] += 1
            if self._stopping or tried >= (len(self.pauses_s) if disturbance.lasting else TRIES):
                self._release(run, Outcome.unfinished, f"given up for now: {disturbance.reason}")
            else:
                again.append((run, disturbance, tried))
        if not again:
            return
        _, disturbance, tried = again[0]
        pause = self.pauses_s[tried] if disturbance.lasting else 0.0
        when = f"in {pause:.0f} s" if pause else "now"
        self.listener.note(f"not a fault of the runs: {disturbance.reason}. Trying again {when}")
        self._again.append((time.monotonic() + pause, [run for run, *_ in again]))

    # ------------------------------------------------------------------------ how runs end

    def _record(self, run: AnyRun, ending: Finished | Failed) -> None:
        """Write down how a run ended, unless another process has it by now."""
        if self._environment is None:
            raise ValueError("a run cannot end before its data are opened")
        if not self.claims.holds(run.identity):
            self.listener.note(f"{run.label}: another process has taken it over, its result counts")
            self.claims.release(run.identity)
            self._waits_for.add(run.identity)
            return
        for pause in (*self.pauses_s, None):
            try:
                self.recorder.record(run, ending, self._environment)
            except BenchmarkError as error:
                self.listener.note(str(error))
                if pause is None or self.halt.asked:
                    self._release(run, Outcome.unfinished, "its result could not be written")
                    return
                self.listener.note(f"trying again in {pause:.0f} s")
                self.halt.wait(pause)  # whatever ends meanwhile could not be written either
            else:
                break
        match ending:
            case Finished(metrics=metrics):
                self._release(run, Outcome.recorded, f"{metrics.top1:.2f} %")
            case Failed(status=status, failure=failure):
                self._release(run, Outcome.failed, f"{status}: {failure.message}")

    def _release(self, run: AnyRun, outcome: Outcome, said: str = "") -> None:
        self.claims.release(run.identity)
        self._ends(run, outcome, said)

    def _ends(
        self, run: AnyRun, outcome: Outcome, said: str = "", *, by_another: bool = False
    ) -> None:
        self._waits_for.discard(run.identity)
        if by_another:
            self.claims.release(run.identity)
            said = f"{outcome.value} by another process"
        for ended, how in self.order.end(run, outcome):
            self._say(ended, how, said if ended is run else "")

    def _say(self, run: AnyRun, outcome: Outcome, said: str = "") -> None:
        usual = {
            Outcome.blocked: "not trained: a run that it builds on has no result",
            Outcome.unfinished: "not trained: stopped before",
            Outcome.refused: "not trained: it cannot be trained here",
        }
        self.listener.run_finished(run.label, said or usual.get(outcome, outcome.value))

    # --------------------------------------------------------------------- others' progress

    def _look_around(self) -> None:
        """Nothing can be begun here: see what other processes have done, and wait a little."""
        for identity in sorted(self._waits_for):
            run = self.order.open.get(identity)
            outcome = self.order.news(run) if run is not None else None
            if run is not None and outcome is not None:
                self._ends(run, outcome, by_another=True)
        self.halt.wait(LOOK_S)


def shared_out(groups: Sequence[Group], slots: int) -> list[Group]:
    """The groups, the largest halved until every slot has one or all have one member.

    Members trained apart cost more arithmetic than side by side, but less time than a worker that
    has nothing to do.
    """
    parts = list(groups)
    while parts and len(parts) < slots:
        largest = max(parts, key=len)
        if len(largest) == 1:
            break
        at = parts.index(largest)
        parts[at : at + 1] = [tuple(half) for half in halves(largest)]
    return parts


def halves(runs: Sequence[AnyRun]) -> list[list[AnyRun]]:
    """The runs in two parts."""
    middle = (len(runs) + 1) // 2
    return [part for part in (list(runs[:middle]), list(runs[middle:])) if part]


def waiting_for(claims: Claims, runs: Sequence[Run]) -> str:
    """Whom a process waits for, for a person; empty if for nobody."""
    holders = {holder for run in runs if (holder := claims.other(run.identity)) is not None}
    return "; ".join(sorted(f"{h.host} trains {h.label}" for h in holders))
