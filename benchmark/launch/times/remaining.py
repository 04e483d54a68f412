"""What is left of a plan: the images still to train over the rate that each group has shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from statistics import median

from benchmark.launch.launcher import Heard
from benchmark.launch.times.forecast import Forecasts, GroupForecast
from benchmark.launch.times.gauge import Gauge
from benchmark.launch.times.schedule import span
from benchmark.matrix.plan import Group
from benchmark.matrix.run import Run
from benchmark.work.fitting import lead
from benchmark.work.forecast.arithmetic import pace_by_arithmetic
from benchmark.work.forecast.pace import Estimate, Pace, Work, work_of


@dataclass(frozen=True)
class _Kind:
    """Groups that go at one pace: those of other seeds.

    Attributes:
        name: equal for all of them.
        runs: of one that are trained; none where there are but weights that were brought.
        foretold: what is known of their pace beforehand.
    """

    name: str
    runs: Sequence[Run]
    foretold: Estimate | None


@dataclass(frozen=True)
class AtWork:
    """A group that a worker has.

    Attributes:
        runs: of the group.
        kind: of groups.
        began: when the worker got it, on the clock.
        gauge: measures it.
    """

    runs: Group
    kind: _Kind
    began: float
    gauge: Gauge


class Remaining:
    """Knows how long each group, and all of them, will still take.

    The pace of a group is the first of these that there is: what it shows itself; what another one
    of its kind showed in this call; what was foretold, as much slower as the others turned out to
    be; arithmetic, of which the others show how much is done in a second.

    Args:
        forecasts: of the plan.
        clock: in seconds.
    """

    def __init__(self, forecasts: Forecasts, clock: Callable[[], float]) -> None:
        self.forecasts, self.clock = forecasts, clock
        self._planned = [(group, self._kind_of(group)) for group in forecasts.plan().groups]
        self._at_work: dict[int, AtWork] = {}
        self._shown: dict[str, tuple[_Kind, Pace]] = {}  # by groups that came to their end
        self._over: set[str] = set()  # runs that are, for now: some may be tried again
        self._computed: dict[str, Pace] = {}  # paces at one multiply-accumulate a second

    def prepare(self) -> None:
        """Count the arithmetic of all of which nothing is known: networks are built for it.

        While something trains it is not done: it would take its time from what is measured.
        """
        for _, kind in self._planned:
            if kind.runs and kind.foretold is None:
                self._count(kind)

    def begin(self, number: int, runs: Group) -> None:
        """A worker gets a group."""
        kind = self._kind_of(self.forecasts.group(runs))
        if not kind.runs:
            return  # weights that were brought are examined, and that is all
        if self._computed or kind.foretold is None:
            self._count(kind)
        gauge = Gauge(_work_after(kind.runs), self.clock)
        self._over -= {run.identity for run in runs}
        self._at_work[number] = AtWork(runs, kind, self.clock(), gauge)

    def heard(self, heard: Heard) -> bool:
        """A group tells something; whether it is further by it."""
        gauge = self._at_work[heard.work].gauge
        match heard.method, heard.arguments:
            case "group_started", (_, _, _, done):
                gauge.group_started(done)
            case "epoch_started", _:
                gauge.epoch_started()
            case "images_done", (images,):
                gauge.images_done(images)
            case "epoch_finished", (epoch, _, rate):
                gauge.epoch_finished(epoch, rate)
            case _:
                return False
        return True

    def end(self, number: int) -> AtWork:
        """A group came to its end, in one way or another."""
        at_work = self._at_work[number]
        try:
            if (pace := self._shown_by(at_work)) is not None:
                self._shown[at_work.kind.name] = at_work.kind, pace
        finally:
            del self._at_work[number]
            self._over |= {run.identity for run in at_work.runs}
        return at_work

    def of(self, number: int) -> float | None:
        """Seconds that a group at work still takes; None if nothing is known."""
        at_work = self._at_work[number]
        pace = self._pace(at_work.kind) if (own := self._shown_by(at_work)) is None else own
        return None if pace is None else at_work.gauge.left(pace)

    def whole(self) -> float | None:
        """Seconds that all groups still take; None while nothing is known of one of them."""
        at_work = [(one.runs, self.of(number)) for number, one in self._at_work.items()]
        busy = {run.identity for runs, _ in at_work for run in runs}
        waiting = self.forecasts.order.open.keys() - busy - self._over
        paces: dict[str, Pace | None] = {}
        behind: list[tuple[Group, float | None]] = []
        for group, kind in self._planned:
            runs = tuple(run for run in group.runs if run.identity in waiting)
            if not runs:
                continue
            if kind.name not in paces:
                paces[kind.name] = self._pace(kind) if kind.runs else None
            behind.append((runs, group.at(paces[kind.name])))
        known = [(runs, left) for runs, left in (*at_work, *behind) if left is not None]
        if len(known) < len(at_work) + len(behind):
            return None
        return span(known, self.forecasts.workers, len(at_work))

    # ------------------------------------------------------------------------------ the pace

    def _pace(self, kind: _Kind) -> Pace | None:
        """The pace of groups of a kind."""
        if kind.name in self._shown:
            return self._shown[kind.name][1]
        same = (one for one in self._at_work.values() if one.kind.name == kind.name)
        shown = (pace for one in same if (pace := self._shown_by(one)) is not None)
        return next(shown, None) or self._foretold(kind)

    def _shown_by(self, at_work: AtWork) -> Pace | None:
        """The pace that a group shows; what it has not shown of it yet is as it was expected."""
        gauge, kind = at_work.gauge, at_work.kind
        rate = gauge.images_per_s
        known = self._shown[kind.name][1] if kind.name in self._shown else self._foretold(kind)
        if rate is None or known is None:
            return None
        guessed = known.examination_s * known.images_per_s / rate
        return Pace(
            images_per_s=rate,
            examination_s=guessed if gauge.examination_s is None else gauge.examination_s,
            start_s=known.start_s if gauge.start_s is None else gauge.start_s,
        )

    def _foretold(self, kind: _Kind) -> Pace | None:
        """The pace of a kind that has shown none in this call."""
        rates, computed = self._rates(), self._computed
        if kind.foretold is not None:
            return _slowed(kind.foretold.pace, _slower(rates))
        macs_per_s = [
            rate / computed[other.name].images_per_s
            for other, rate in rates
            if other.name in computed
        ]
        if not macs_per_s or kind.name not in computed:
            return None
        return _slowed(computed[kind.name], 1 / median(macs_per_s))

    def _rates(self) -> list[tuple[_Kind, float]]:
        """Images per second that groups of this call have shown, of each kind once."""
        rates = {name: (kind, pace.images_per_s) for name, (kind, pace) in self._shown.items()}
        for one in self._at_work.values():
            if (rate := one.gauge.images_per_s) is not None:
                rates[one.kind.name] = one.kind, rate
        return list(rates.values())

    def _count(self, kind: _Kind) -> None:
        if kind.name not in self._computed:
            with suppress(Exception):  # it may be anyone's network
                self._computed[kind.name] = pace_by_arithmetic(kind.runs, 1.0)

    def _kind_of(self, group: GroupForecast) -> _Kind:
        trained = [run for run in group.runs if isinstance(run, Run)]
        return _Kind(self.forecasts.book.name(trained), trained, group.estimate)


def _slower(rates: Sequence[tuple[_Kind, float]]) -> float:
    """How much longer groups take for an image than was foretold; 1 if none of them was."""
    known = [(rate, kind.foretold.pace.images_per_s) for kind, rate in rates if kind.foretold]
    if not known:
        return 1.0
    return sum(1 / rate for rate, _ in known) / sum(1 / foretold for _, foretold in known)


def _slowed(pace: Pace, factor: float) -> Pace:
    return Pace(
        images_per_s=pace.images_per_s / factor,
        examination_s=pace.examination_s * factor,
        start_s=pace.start_s * factor,
    )


def _work_after(runs: Sequence[Run]) -> Callable[[int], Work]:
    """What a group has to do after so many epochs."""
    first, ahead = runs[0], lead(runs[0])
    return cache(lambda done: work_of(first, lead=ahead, done=done))
