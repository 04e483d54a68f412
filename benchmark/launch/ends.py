"""How runs end: recorded if there is a result, released for others, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmark.errors import BenchmarkError
from benchmark.events import Listener
from benchmark.launch.claims import Claims
from benchmark.launch.order import Order, Outcome
from benchmark.matrix.run import AnyRun
from benchmark.records.schema import Environment
from benchmark.training.ending import Failed, Finished
from benchmark.training.halt import Halt
from benchmark.work.recording import Recorder

USUAL = {
    Outcome.blocked: "not trained: a run that it builds on has no result",
    Outcome.unfinished: "not trained: stopped before",
    Outcome.disturbed: "not trained: its surroundings failed",
    Outcome.refused: "not trained: it cannot be trained here",
}


def named(run: AnyRun) -> str:
    """A run among those of other seeds, for a person."""
    return f"{run.label}, seed {run.spec.seed}"


@dataclass
class Ends:
    """Ends the runs of an order.

    Args:
        order: notes the outcomes.
        claims: on the runs.
        recorder: writes results.
        listener: hears of every end.
        halt: ends the waiting for a disk that cannot be written.
        pauses_s: before further tries to write a result.

    Attributes:
        waits_for: identities of runs that another process trains.
    """

    order: Order
    claims: Claims
    recorder: Recorder
    listener: Listener
    halt: Halt
    pauses_s: Sequence[float]
    waits_for: set[str] = field(default_factory=set)

    def record(self, run: AnyRun, ending: Finished | Failed, environment: Environment) -> None:
        """Write down how a run ended, unless another process has it by now."""
        if not self.still_held([run]):
            return
        if not self._written(run, ending, environment):
            self.release(run, Outcome.disturbed, "its result could not be written")
        elif not self.still_held([run]):
            return  # taken over while this process slept over the writing: one of them says the end
        else:
            self._say_record(run)
            self._released(run, ending)

    def _say_record(self, run: AnyRun) -> None:
        record = self.order.store.find(run.spec)
        if record is not None:
            self.listener.recorded(run.identity, record.model_dump(mode="json"))

    def _released(self, run: AnyRun, ending: Finished | Failed) -> None:
        if isinstance(ending, Finished):
            self.release(run, Outcome.recorded, f"{ending.metrics.top1:.2f} %")
        else:
            self.release(run, Outcome.failed, f"{ending.status}: {ending.failure.message}")

    def still_held(self, runs: Sequence[AnyRun]) -> list[AnyRun]:
        """Those of claimed runs that no other process has taken over."""
        held = [run for run in runs if self.claims.holds(run.identity)]
        for run in runs:
            if run not in held:
                self.listener.note(f"{run.label}: another process has it now, its result counts")
                self.claims.release(run.identity)
                self.waits_for.add(run.identity)
        return held

    def release(self, run: AnyRun, outcome: Outcome, said: str = "") -> None:
        """End a run, and let others have it."""
        self.claims.release(run.identity)
        self.waits_for.discard(run.identity)
        for ended, how in self.order.end(run, outcome):
            self.say(ended, how, said if ended is run else "")

    def look_around(self) -> None:
        """End the runs that other processes have ended."""
        for identity in sorted(self.waits_for & self.order.open.keys()):
            self.ended_by_another(self.order.open[identity])

    def ended_by_another(self, run: AnyRun) -> bool:
        """End a run if another process has; whether it has."""
        outcome = self.order.news(run)
        if outcome is not None:
            self.release(run, outcome, f"{outcome.value} by another process")
        return outcome is not None

    def say(self, run: AnyRun, outcome: Outcome, said: str = "") -> None:
        """Tell the listener."""
        tell = self.listener.run_finished if outcome.is_recorded else self.listener.run_left
        tell(named(run), said or USUAL.get(outcome, outcome.value))

    def _written(self, run: AnyRun, ending: Finished | Failed, environment: Environment) -> bool:
        for pause in (*self.pauses_s, None):
            try:
                self.recorder.record(run, ending, environment)
            except (BenchmarkError, OSError) as error:
                self.listener.note(str(error))
                if pause is None or self.halt.asked:
                    return False
                self.listener.note(f"trying again in {pause:.0f} s")
                self.halt.wait(pause)  # whatever ends meanwhile could not be written either
            else:
                break
        return True
