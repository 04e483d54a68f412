"""What a log says while the matrix runs: a line for each thing that happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from benchmark.events import LearnerEpoch, Listener
from benchmark.reports.escape import plain
from benchmark.reports.terminal.live.members import common_pair, loss, short
from benchmark.reports.terminal.live.single import Single
from benchmark.reports.terminal.screen import words
from benchmark.reports.wording.duration import left


class Lines(Single):
    """One line for every epoch of a group and for every result; for logs and pipes."""

    console: Console

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._left = self._groups = 0
        self._noted: str | None = None
        self._ends_at: float | None = None
        self._time_is_known: bool | None = None

    def matrix_started(self, runs: int, skipped: int) -> None:
        """Say how much there is to do."""
        self._left = runs
        self._say(f"runs to train: {runs}; that need nothing: {skipped}")

    def beside(self, group: int) -> Listener:
        """Who says what one group does; groups are numbered as they begin."""
        self._groups += 1
        return GroupLines(self._say, self._groups, self._whole)

    def time_left(self, seconds: float | None) -> None:
        """Say it at first and when it becomes known; later the lines of the epochs do."""
        known = seconds is not None
        self._ends_at = None if seconds is None else time.monotonic() + seconds
        if known is not self._time_is_known:
            self._time_is_known = known
            self._say(left(seconds))

    def run_finished(self, label: str, outcome: str) -> None:
        """Say how a run ended."""
        self._left -= 1
        runs = "run" if self._left == 1 else "runs"
        self._say(f"{plain(label)}: {short(outcome)}  ({self._left} {runs} left)")

    def run_left(self, label: str, outcome: str) -> None:
        """Say why a run is left as it is."""
        self._say(f"{plain(label)}: {short(outcome)}")

    def note(self, message: str) -> None:
        """Say what a person should know; what several workers say in turn once."""
        if message != self._noted:
            self._noted = message
            self._say(message)

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Say how much there is to do, and at the end how much is done."""
        done, title = 0, plain(title)

        def advance(more: int) -> None:
            nonlocal done
            done += more

        self._say(f"{title}: begun" if total is None else f"{title}: {total:,} to do")
        yield advance
        self._say(f"{title}: {done:,}{'' if total is None else f' of {total:,}'} done")

    def _whole(self) -> str:
        """What is left of all, where that is known."""
        if self._ends_at is None:
            return ""
        return left(max(0.0, self._ends_at - time.monotonic()))

    def _say(self, text: str) -> None:
        self.console.print(words(f"{time.strftime('%H:%M:%S')}  {text}"), soft_wrap=True)


class GroupLines(Listener):
    """A line for every epoch of one group.

    Args:
        say: takes a line.
        number: of the group.
        whole: what is left of the whole matrix, in words.
    """

    def __init__(self, say: Callable[[str], None], number: int, whole: Callable[[], str]) -> None:
        self._say, self._whole = say, whole
        self._group = f"group {number}"
        self._epochs = 0
        self._names: dict[str, str] = {}

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Say who trains: what all have in common once."""
        pair, names = common_pair([plain(label) for label in labels])
        self._epochs, self._names = epochs, dict(zip(labels, names, strict=True))
        who = ": ".join(filter(None, (plain(title), pair, "; ".join(names))))
        start = f", continuing after epoch {done}" if done else ""
        self._say(f"{self._group}, {who}{start}")

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Say how every learner did."""
        news = "; ".join(self._in_short(learner) for learner in learners)
        rest = "; ".join(filter(None, (f"{images_per_s:,.0f} images/s", self._whole())))
        self._say(f"{self._group}, epoch {epoch}/{self._epochs}: {news}  ({rest})")

    def _in_short(self, learner: LearnerEpoch) -> str:
        name = self._names.get(learner.label, plain(learner.label))
        if learner.error is not None:
            return f"{name} left the group: {short(learner.error)}"
        top1 = None if learner.top1 is None else f"{learner.top1:.2f} %"
        lost = f"loss {loss(learner.terms)}" if learner.terms else None
        return " ".join(filter(None, (name, ", ".join(filter(None, (top1, lost))))))
