"""What a person sees while the matrix runs: bars on a terminal, plain lines elsewhere.

Whatever happens to the terminal or the log, nothing here raises into the engine (see ``screen``).
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from benchmark.events import LearnerEpoch, Listener
from benchmark.reports.escape import plain
from benchmark.reports.terminal.screen import sturdy, words
from benchmark.reports.wording.duration import duration

BETWEEN_S = 60.0  # between two lines of a log that tell how much is left
LONGEST = 400  # signs of a message on one line; the record has the whole one


def listener(console: Console) -> Listener:
    """The listener that suits where the console writes."""
    shown = console.is_terminal
    outlet = sturdy(console.file)
    outlet.tells_of_readers = True
    console.file = cast("IO[str]", outlet)
    return Bars(console) if shown else Lines(console)


class Lines(Listener):
    """One line for every epoch and every result; for logs and pipes."""

    console: Console

    def __init__(self, console: Console) -> None:
        self.console = console
        self._left = 0
        self._silent_until = 0.0
        self._groups: set[int] = set()

    def matrix_started(self, runs: int, skipped: int) -> None:
        """Say how much there is to do."""
        self._left = runs
        self._say(f"runs to train: {runs}; that need nothing: {skipped}")

    def beside(self, group: int) -> Listener:
        """Who says what one group does; with its number where several train at once."""
        return GroupLines(self._say, group, self._groups)

    def time_left(self, seconds: float) -> None:
        """Say it at first, and then from minute to minute."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + BETWEEN_S
            self._say(f"about {duration(seconds)} left")

    def run_finished(self, label: str, outcome: str) -> None:
        """Say how a run ended."""
        self._left -= 1
        left = f"{self._left} run{'s' if self._left != 1 else ''} left"
        self._say(f"{plain(label)}: {_short(outcome)}  ({left})")

    def note(self, message: str) -> None:
        """Say what a person should know."""
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

    def _say(self, text: str) -> None:
        self.console.print(words(f"{time.strftime('%H:%M:%S')}  {text}"), soft_wrap=True)


class GroupLines(Listener):
    """A line for every epoch and member of one group.

    Args:
        say: takes a line.
        number: of the group.
        groups: numbers of those that train at this moment.
    """

    def __init__(self, say: Callable[[str], None], number: int, groups: set[int]) -> None:
        self._line, self._number, self._groups = say, number, groups
        self._epochs = 0
        groups.add(number)

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Say who trains."""
        self._epochs = epochs
        start = f", continuing after epoch {done}" if done else ""
        self._say(plain(f"{title}: {'; '.join(labels)}{start}"))

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Say how every learner did."""
        for learner in learners:
            self._say(
                f"epoch {epoch}/{self._epochs}  {plain(learner.label)}  {in_one_line(learner)}"
                f"  {images_per_s:.0f} images/s"
            )

    def close(self) -> None:
        """The group is over."""
        self._groups.discard(self._number)

    def _say(self, text: str) -> None:
        self._line(f"({self._number}) {text}" if len(self._groups) > 1 else text)


class TimeLeft(ProgressColumn):
    """What is left of a bar: what the engine told of it last; else as the bar itself moves."""

    def __init__(self) -> None:
        super().__init__()
        self._usual = TimeRemainingColumn(compact=True)

    def render(self, task: Task) -> Text:
        """The time that is left."""
        ends_at: float | None = task.fields.get("ends_at")
        if ends_at is None:
            return self._usual.render(task)
        return Text(duration(max(0.0, ends_at - time.monotonic())), style="progress.remaining")


class Bars(Listener):
    """Bars: the runs of the matrix; for every group its epochs, and the images of its epoch.

    Other work on many images has a bar below them, or one of its own where nothing runs yet.
    """

    console: Console

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}", justify="right", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeLeft(),
            console=console,
            expand=True,
        )
        self._matrix: TaskID | None = None
        self._groups: dict[int, GroupBars] = {}

    def matrix_started(self, runs: int, skipped: int) -> None:
        """Open the bars."""
        if runs == 0:
            return
        self._start()
        self._matrix = self._progress.add_task("runs", total=runs)
        if skipped:
            self.note(f"{skipped} runs need nothing: recorded already, or not wanted")

    def beside(self, group: int) -> Listener:
        """The bars of one group, which carry its number where several train at once."""
        return GroupBars(self._progress, group, self._groups)

    def time_left(self, seconds: float) -> None:
        """Show it at the matrix's bar."""
        if self._matrix is not None:
            self._progress.update(self._matrix, ends_at=time.monotonic() + seconds)

    def run_finished(self, label: str, outcome: str) -> None:
        """Move the matrix's bar and show the result."""
        if self._matrix is not None:
            self._progress.update(self._matrix, advance=1)
        self._print(Text(f"{plain(label)}: {_short(outcome)}", style="bold"))

    def note(self, message: str) -> None:
        """Show it above the bars."""
        self._print(words(message))

    @property
    def shows(self) -> bool:
        """Whether others may draw: a bar of theirs would break up those that stand here."""
        return not self._progress.live.is_started

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Open a bar among those that stand; if none does, for as long as the work takes."""
        alone = not self._progress.live.is_started
        task = self._progress.add_task(plain(title), total=total)
        self._start()
        try:
            yield lambda more: self._progress.advance(task, more)
        finally:
            if alone:
                self._stop()  # before the bar is taken away: it stays to be read
            self._progress.remove_task(task)

    def close(self) -> None:
        """Take the bars away and show the cursor again; does nothing where that is done."""
        for group in list(self._groups.values()):
            group.close()
        self._stop()

    def _start(self) -> None:
        if not self._progress.live.is_started:
            # Whoever ends the process and does not close leaves a terminal with a cursor.
            atexit.register(self.close)
            self._progress.start()

    def _stop(self) -> None:
        if self._progress.live.is_started:
            self._progress.stop()
            atexit.unregister(self.close)

    def _print(self, line: Text) -> None:
        self._progress.console.print(line)


class GroupBars(Listener):
    """Two bars: the epochs of a group, the images of its epoch.

    Args:
        progress: among whose bars they stand.
        number: of the group.
        groups: those that train at this moment.
    """

    def __init__(self, progress: Progress, number: int, groups: dict[int, GroupBars]) -> None:
        self._progress, self._number, self._groups = progress, number, groups
        self._epochs: TaskID | None = None
        self._images: TaskID | None = None
        groups[number] = self

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Say who trains, and open the bar of the epochs."""
        self._print(Text(f"{self._mark}{plain(title)}", style="bold"))
        for label in labels:
            self._print(Text(f"  • {plain(label)}"))
        self._remove(self._epochs)
        self._epochs = self._progress.add_task(f"{self._mark}epochs", total=epochs, completed=done)

    def time_left(self, seconds: float) -> None:
        """Show it at the bar of the epochs."""
        if self._epochs is not None:
            self._progress.update(self._epochs, ends_at=time.monotonic() + seconds)

    def epoch_started(self, epoch: int, images: int) -> None:
        """Open the epoch's bar."""
        self._remove(self._images)
        self._images = self._progress.add_task(f"{self._mark}images", total=images)

    def images_done(self, images: int) -> None:
        """Move the epoch's bar."""
        if self._images is not None:
            self._progress.update(self._images, advance=images)

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Show how every learner did."""
        if self._epochs is not None:
            self._progress.update(self._epochs, completed=epoch)
        self._print(Text(f"{self._mark}epoch {epoch}, {images_per_s:.0f} images/s", style="dim"))
        labels = [plain(learner.label) for learner in learners]
        width = max(map(len, labels), default=0)
        for label, learner in zip(labels, learners, strict=True):
            self._print(Text(f"  {label:{width}}  {in_one_line(learner)}"))

    def close(self) -> None:
        """Take the bars away."""
        self._remove(self._epochs)
        self._remove(self._images)
        self._epochs = self._images = None
        self._groups.pop(self._number, None)

    @property
    def _mark(self) -> str:
        return f"({self._number}) " if len(self._groups) > 1 else ""

    def _remove(self, task: TaskID | None) -> None:
        if task is not None:
            self._progress.remove_task(task)

    def _print(self, line: Text) -> None:
        self._progress.console.print(line)


def in_one_line(learner: LearnerEpoch) -> str:
    """Accuracy and loss terms of an epoch on one line."""
    if learner.error is not None:
        return f"left the group: {_short(learner.error)}"
    terms = "  ".join(f"{plain(name)} {value:.3g}" for name, value in learner.terms.items())
    accuracy = "" if learner.top1 is None else f"{learner.top1:5.2f} %  "
    return f"{accuracy}{terms}"


def _short(message: str) -> str:
    """A message on one line of bearable length."""
    line = plain(message[: LONGEST + 1]).strip()
    return f"{line[:LONGEST]}…" if len(line) > LONGEST else line
