"""What is left of a call on the matrix, as the truth comes in; and the paces that it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmark.events import Listener
from benchmark.launch.launcher import Ended, Heard, Message
from benchmark.launch.times.forecast import Forecasts
from benchmark.launch.times.schedule import span
from benchmark.matrix.cutting import by_number
from benchmark.matrix.plan import Group
from benchmark.matrix.run import AnyRun, Run
from benchmark.training.ending import Finished
from benchmark.work.fitting import lead
from benchmark.work.forecast.arithmetic import macs_of_step
from benchmark.work.forecast.pace import Pace, work_of


@dataclass
class _AtWork:
    """A group that trains.

    Attributes:
        expected: seconds that it would take, as it was foretold; None if nothing was known.
        began: when it was given to a worker.
        first: epochs that were behind it when it began.
        first_at: when it began with them; None until it did.
        epoch, epochs: how far it is, and of how many.
        epoch_at: when it came there.
    """

    runs: Group
    expected: float | None
    began: float
    first: int = 0
    first_at: float | None = None
    epoch: int = 0
    epochs: int = 0
    epoch_at: float = 0.0

    def left(self, now: float, factor: float) -> float | None:
        """Seconds that it still takes: by its own epochs once it has one, else as foretold."""
        if self.first_at is not None and self.epoch > self.first:
            of_epoch = (self.epoch_at - self.first_at) / (self.epoch - self.first)
            return max(0.0, (self.epochs - self.epoch) * of_epoch - (now - self.epoch_at))
        if self.expected is None:
            return None
        return max(0.0, factor * self.expected - (now - self.began))


class NoOutlook:
    """Foretells nothing.

    Attributes:
        tell: takes what is left of a group.
    """

    def __init__(self) -> None:
        self.tell: Callable[[Heard], None] = lambda heard: None

    def weights(self, groups: Sequence[Sequence[AnyRun]]) -> Sequence[float]:
        """What groups cost beside each other."""
        return by_number(groups)

    def fits(self, group: Group) -> bool:
        """Whether there is memory for a group; what nothing is known of is tried."""
        return True

    def crowded(self, group: Sequence[AnyRun]) -> None:
        """A group ran out of memory."""

    def begin(self, number: int, runs: Sequence[AnyRun]) -> None:
        """A worker gets a group."""

    def heard(self, heard: Heard) -> None:
        """A group tells how far it is."""

    def ended(self, message: Message) -> None:
        """A group came to its end, in one way or another."""


class Outlook(NoOutlook):
    """Says after every epoch what is left of its group and of all.

    How much longer groups took than was foretold, those that wait will take, too. Nothing that goes
    wrong here is a reason to end a training.

    Args:
        forecasts: of the plan.
        listener: hears what is left of all.
        keeps: whether groups train on this machine, so that their paces are worth keeping.
        clock: in seconds.
    """

    def __init__(
        self,
        forecasts: Forecasts,
        listener: Listener,
        *,
        keeps: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.forecasts, self.listener = forecasts, listener
        self.keeps, self.clock = keeps, clock
        self.waiting = {
            run.identity: group for group in forecasts.plan().groups for run in group.runs
        }
        self._at_work: dict[int, _AtWork] = {}
        self._weighed: dict[tuple[tuple[str, ...], ...], Sequence[float]] = {}
        self._fits: dict[tuple[str, ...], bool] = {}  # asked for at every claim
        self._told: set[str] = set()  # kinds of groups that do not fit
        self._true = self._foretold = 0.0  # of groups that ended

    def weights(self, groups: Sequence[Sequence[AnyRun]]) -> Sequence[float]:
        """What groups cost beside each other: seconds, where all are known from one source."""
        key = tuple(tuple(run.identity for run in group) for group in groups)
        if key not in self._weighed:
            found = None
            with suppress(Exception):
                found = self.forecasts.weights(groups)
            self._weighed[key] = by_number(groups) if found is None else found
        return self._weighed[key]

    def fits(self, group: Group) -> bool:
        """Whether there is memory for a group; what nothing is known of is tried."""
        key = tuple(run.identity for run in group)
        if key not in self._fits:
            self._fits[key] = True
            with suppress(Exception):
                self._fits[key] = self._is_tried(group)
        return self._fits[key]

    def crowded(self, group: Sequence[AnyRun]) -> None:
        """A group ran out of memory: those of other seeds need not try."""
        self._fits.clear()
        with suppress(Exception):
            runs = [run for run in group if isinstance(run, Run)]
            if self.keeps and len(runs) == len(group):
                self.forecasts.ran_short(runs)

    def _is_tried(self, group: Group) -> bool:
        runs = [run for run in group if isinstance(run, Run)]
        short = self.forecasts.lacks(runs) if self.keeps and runs else None
        if short is None:
            return True
        name = self.forecasts.book.name(runs)
        if name not in self._told:
            self._told.add(name)
            self.listener.note(
                f"{len(group)} runs side by side need more memory than there is "
                f"({short / 1024:.1f} GB): they are trained in parts"
            )
        return False

    def begin(self, number: int, runs: Sequence[AnyRun]) -> None:
        """A worker gets a group."""
        with suppress(Exception):
            group = tuple(runs)
            expected = self.forecasts.group(group).seconds
            for run in group:
                self.waiting.pop(run.identity, None)
            self._at_work[number] = _AtWork(group, expected, self.clock())
            self._say()

    def heard(self, heard: Heard) -> None:
        """A group tells how far it is."""
        at_work = self._at_work.get(heard.work)
        if at_work is None:
            return
        match heard.method, heard.arguments:
            case "group_started", (_, _, epochs, done):
                at_work.epochs, at_work.epoch, at_work.first = epochs, done, done
                at_work.first_at = at_work.epoch_at = self.clock()
            case "epoch_finished", (epoch, _, _):
                at_work.epoch, at_work.epoch_at = epoch, self.clock()
            case _:
                return
        with suppress(Exception):
            left = at_work.left(self.clock(), self._factor())
            if left is not None:
                self.tell(Heard(heard.work, "time_left", (left,)))
            self._say()

    def ended(self, message: Message) -> None:
        """A group came to its end, in one way or another."""
        at_work = self._at_work.pop(message.work, None)
        if at_work is None:
            return
        endings = message.endings if isinstance(message, Ended) else ()
        finished = [ending for ending in endings if isinstance(ending, Finished)]
        seconds = self.clock() - at_work.began
        with suppress(Exception):
            if len(finished) == len(at_work.runs) and at_work.first == 0:
                if at_work.expected:
                    self._true += seconds
                    self._foretold += at_work.expected
                if self.keeps:
                    self._keep(at_work.runs, finished, seconds)
            self._say()

    def _keep(self, group: Group, finished: Sequence[Finished], seconds: float) -> None:
        runs = [run for run in group if isinstance(run, Run)]
        if len(runs) < len(group):
            return
        work = work_of(runs[0], lead=lead(runs[0]))
        trained = max(ending.cost.group_seconds for ending in finished)
        examined = sum(ending.cost.evaluation_seconds for ending in finished)
        pace = Pace(
            images_per_s=work.epochs * work.images / trained,
            examination_s=examined / work.examinations,
            start_s=max(0.0, seconds - trained - examined),
            macs_per_image=macs_of_step(runs),
            memory_mb=max(ending.cost.peak_memory_mb for ending in finished),
        )
        self.forecasts.book.keep(runs, pace)

    def _factor(self) -> float:
        """How much longer groups take than was foretold: those that ended, those at work."""
        now, true, foretold = self.clock(), self._true, self._foretold
        for at_work in self._at_work.values():
            left = at_work.left(now, 1.0)
            if at_work.epoch > at_work.first and at_work.expected and left is not None:
                true += now - at_work.began + left
                foretold += at_work.expected
        return true / foretold if foretold else 1.0

    def _say(self) -> None:
        """Tell what is left of all; nothing while something of it is not known."""
        now, factor = self.clock(), self._factor()
        groups: list[tuple[Group, float]] = []
        for at_work in self._at_work.values():
            left = at_work.left(now, factor)
            if left is None:
                return
            groups.append((at_work.runs, left))
        running = len(groups)
        for group in {id(group): group for group in self.waiting.values()}.values():
            runs = tuple(run for run in group.runs if run.identity in self.waiting)
            if group.seconds is None:
                return
            groups.append((runs, factor * group.seconds))
        self.listener.time_left(span(groups, self.forecasts.workers, running))
