"""What is left of a call on the matrix, as the truth comes in; and the paces that it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from benchmark.events import Listener
from benchmark.launch.launcher import Ended, Heard, Message
from benchmark.launch.times.forecast import Forecasts
from benchmark.launch.times.remaining import Remaining
from benchmark.matrix.cutting import by_number
from benchmark.matrix.plan import Group
from benchmark.matrix.run import AnyRun, Run
from benchmark.training.ending import Finished
from benchmark.work.fitting import lead
from benchmark.work.forecast.arithmetic import macs_of_step
from benchmark.work.forecast.pace import Pace, work_of

TELL_S = 1.0  # between two words on what is left while images go through: a person's eye needs none


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

    def prepare(self) -> None:
        """Do what takes a moment while the data are opened elsewhere."""

    def say(self) -> None:
        """Tell what is left of all."""

    def begin(self, number: int, runs: Sequence[AnyRun]) -> None:
        """A worker gets a group."""

    def heard(self, heard: Heard) -> None:
        """A group tells how far it is."""

    def ended(self, message: Message) -> None:
        """A group came to its end, in one way or another."""


class Outlook(NoOutlook):
    """Says while groups train what is left of each and of all.

    Nothing that goes wrong here is a reason to end a training.

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
        self.remaining = Remaining(forecasts, clock)
        self._said_at = clock()
        self._weighed: dict[tuple[tuple[str, ...], ...], Sequence[float]] = {}
        self._fits: dict[tuple[str, ...], bool] = {}  # asked for at every claim
        self._told: set[str] = set()  # kinds of groups that do not fit

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

    def prepare(self) -> None:
        """Count what groups compute of which nothing is known."""
        with suppress(Exception):
            self.remaining.prepare()

    def say(self) -> None:
        """Tell what is left of all, or that it is not known yet."""
        self._said_at = self.clock()
        with suppress(Exception):
            self.listener.time_left(self.remaining.whole())

    def begin(self, number: int, runs: Sequence[AnyRun]) -> None:
        """A worker gets a group."""
        with suppress(Exception):
            self.remaining.begin(number, tuple(runs))
        self.say()

    def heard(self, heard: Heard) -> None:
        """A group tells how far it is."""
        with suppress(Exception):
            if not self.remaining.heard(heard):
                return
            if heard.method == "images_done" and self.clock() - self._said_at < TELL_S:
                return
            self.tell(Heard(heard.work, "time_left", (self.remaining.of(heard.work),)))
            self.say()

    def ended(self, message: Message) -> None:
        """A group came to its end, in one way or another."""
        with suppress(Exception):
            at_work = self.remaining.end(message.work)
            endings = message.endings if isinstance(message, Ended) else ()
            finished = [ending for ending in endings if isinstance(ending, Finished)]
            whole = len(finished) == len(at_work.runs) and at_work.gauge.first == 0
            if whole and self.keeps:
                self._keep(at_work.runs, finished, self.clock() - at_work.began)
        self.say()

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
