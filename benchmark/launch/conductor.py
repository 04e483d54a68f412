"""The matrix from its first group to its last: who trains what, and what becomes of it.

Groups that are ready are claimed and given to a launcher; how their members end is recorded at
once. A group that runs out of memory is tried again in halves, one whose process died member by
member, so that the run that is to blame is found and no other suffers from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmark.errors import TrainingError
from benchmark.events import Listener
from benchmark.launch.claiming import LOOK_S, Claiming
from benchmark.launch.claims import Claims
from benchmark.launch.ends import Ends
from benchmark.launch.launcher import Cause, Died, Ended, Heard, Launcher, Message, Opening, Refused
from benchmark.launch.order import Order, Outcome
from benchmark.launch.retries import Retries
from benchmark.launch.times.outlook import NoOutlook
from benchmark.launch.workers.telling import Retelling
from benchmark.matrix.plan import recorded_weights
from benchmark.matrix.run import AnyRun
from benchmark.records.schema import Environment, Failure, Status
from benchmark.training.ending import Disturbed, Ending, Failed, Finished, Stopped
from benchmark.training.walls.listening import Steady
from benchmark.work.recording import Recorder
from benchmark.work.train import GroupSpec

STATUS: Mapping[Cause, Status] = {"memory": "oom", "silence": "timeout", "crash": "failed"}
PAUSES_S = (5.0, 60.0, 300.0)  # before another try, after a fault that lasts


@dataclass
class Conductor:
    """Has a plan trained.

    Args:
        order: of the plan.
        claims: on runs of the folder.
        launcher: does the work; its halt stops all.
        recorder: writes what comes of it.
        listener: hears of the progress.
        teachers: files of teacher weights by network, with their sha256.
        paths: folders with further recipes.
        pauses_s: before another try, after a fault of the surroundings that lasts.
        outlook: follows the work and tells what is left of it.
    """

    order: Order
    claims: Claims
    launcher: Launcher
    recorder: Recorder
    listener: Listener
    teachers: Mapping[str, tuple[Path, str]]
    paths: tuple[Path, ...]
    pauses_s: Sequence[float] = PAUSES_S
    outlook: NoOutlook = field(default_factory=NoOutlook)
    _running: dict[int, list[AnyRun]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=partial(itertools.count, 1))
    _environment: Environment | None = None
    _stopping: bool = False

    def __post_init__(self) -> None:
        halt = self.launcher.halt
        self._retell = Retelling(self.listener)
        self.listener = Steady(self.listener)
        self._ends = Ends(
            self.order, self.claims, self.recorder, self.listener, halt, self.pauses_s
        )
        self._claiming = Claiming(self.order, self.claims, self._ends, self.pauses_s, self.outlook)
        self._retries = Retries(self.listener, self.pauses_s)
        self.launcher.hear = self._hear
        self.outlook.tell = self._retell

    def run(self) -> None:
        """Train all that is to do; a fault of one run stops only what builds on it."""
        for run in self.order.plan.todo:
            if (outcome := self.order.outcomes.get(run.identity)) is not None:
                self._ends.say(run, outcome)
        try:
            with self.launcher:
                self._open_data()
                while self.order.open:
                    self._give_work()
                    if self._running:
                        self._take(self.launcher.wait(LOOK_S))
                        self._drop_lost()
                    elif self._stopping:
                        break
                    else:
                        self._ends.look_around()
                        self.launcher.halt.wait(LOOK_S)
        finally:
            self.claims.close()
        while self.order.open:
            self._ends.release(next(iter(self.order.open.values())), Outcome.unfinished)

    # ------------------------------------------------------------------------ giving work

    def _open_data(self) -> None:
        """Have data opened and kept: what cannot be had is said before anything is trained."""
        runs = self.order.open.values()
        data = {(run.card.name, run.pictures): (run.card, run.protocol) for run in runs}
        if not data or self._stop_if_asked():
            return
        self.launcher.start(next(self._numbers), Opening(tuple(data.values())))
        self.outlook.prepare()
        while self.launcher.busy:
            for message in self.launcher.wait(LOOK_S):
                if isinstance(message, Ended):
                    self._environment = message.environment
                elif isinstance(message, Refused):
                    raise message.error
                else:
                    raise TrainingError(
                        f"opening the data did not go well: {message.reason}. Is there enough "
                        "memory? 'kdbench data check NAME' looks at a data set alone."
                    )
            if self._stop_if_asked():
                return  # what opens them is ended with the launcher: it may take an hour

    def _give_work(self) -> None:
        """Fill the launcher's slots with groups that are ready."""
        while not self._stop_if_asked() and len(self.launcher.busy) < self.launcher.slots:
            runs = self._ends.still_held(self._retries.due()) or self._claimed()
            if not runs:
                return
            number = next(self._numbers)
            self._running[number] = runs
            family = {run.identity: run for top in runs for run in top.family()}
            recorded = recorded_weights(family.values(), self.order.store)
            spec = GroupSpec.of(runs, teachers=self.teachers, paths=self.paths, recorded=recorded)
            self.outlook.begin(number, runs)
            self.launcher.start(number, spec)

    def _claimed(self) -> list[AnyRun]:
        busy = [*self._retries.runs(), *(run for runs in self._running.values() for run in runs)]
        free = self.launcher.slots - len(self.launcher.busy)
        return self._claiming.group({run.identity for run in busy}, slots=free)

    def _stop_if_asked(self) -> bool:
        """Pass on to the launcher that all shall stop; whether it shall."""
        halt = self.launcher.halt
        if not self._stopping and (halt.asked or halt.late()):
            self._stopping = True
            self.launcher.stop()
        return self._stopping

    # ------------------------------------------------------------------- what is heard of it

    def _hear(self, heard: Heard) -> None:
        match heard.method, heard.arguments:
            case "group_started", (_, _, epochs, done):
                self._tell(heard.work, done, epochs)
            case "epoch_finished", (epoch, _, _):
                self._tell(heard.work, epoch, None)
        self.outlook.heard(heard)  # what is left after an epoch is told with it
        with suppress(Exception):  # who listens may be anyone's
            self._retell(heard)

    def _tell(self, work: int, epoch: int, epochs: int | None) -> None:
        for run in self._running.get(work, ()):
            self.claims.tell(run.identity, epoch, epochs)

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._claiming.changed()
            with suppress(Exception):
                self._retell.over(message.work)
            self.outlook.ended(message)
            runs = self._running.pop(message.work)
            match message:
                case Ended(endings=endings, environment=environment):
                    self._environment = environment
                    self._took_endings(runs, endings)
                case Refused(error=error):
                    self.listener.note(str(error))
                    for run in runs:
                        self._ends.release(run, Outcome.refused)
                case Died():
                    self._took_death(runs, message)

    def _drop_lost(self) -> None:
        """End groups of which all runs were taken over while this process slept."""
        for number, runs in list(self._running.items()):
            if any(self.claims.holds(run.identity) for run in runs):
                continue
            if self.launcher.drop(number):
                del self._running[number]
                self.outlook.ended(Died(number, "dropped", "lost"))
                self._retell.over(number)
                self._ends.still_held(runs)  # none of them, which is said

    def _took_endings(self, runs: Sequence[AnyRun], endings: Sequence[Ending]) -> None:
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
                    self._ends.release(run, Outcome.unfinished, said)
                case Finished() | Failed():
                    self._record(run, ending)
        if crowded_out:
            self.outlook.crowded(runs)
            self._retries.crowded_out(crowded_out, runs)
        self._took_disturbances(disturbed)

    def _took_disturbances(self, disturbed: Sequence[tuple[AnyRun, Disturbed]]) -> None:
        for run, disturbance in self._retries.disturbed(disturbed):
            said = f"given up for now: {disturbance.reason}"
            self._ends.release(run, Outcome.disturbed, said)

    def _took_death(self, runs: Sequence[AnyRun], death: Died) -> None:
        if death.cause == "lost":
            self._took_disturbances([(run, Disturbed(death.reason, False)) for run in runs])
        elif not death.fresh and self._retries.afresh(runs, death):
            return  # whoever was trained there before may be to blame
        elif len(runs) > 1:
            self._retries.apart(runs, death)
        else:
            failure = Failure(kind="Died", message=death.reason, where="its process")
            self._record(runs[0], Failed(STATUS[death.cause], failure))

    def _record(self, run: AnyRun, ending: Finished | Failed) -> None:
        if self._environment is None:
            raise ValueError("a run cannot end before its data are opened")
        self._ends.record(run, ending, self._environment)
