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
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from benchmark.events import LearnerEpoch, Listener
from benchmark.reports.escape import plain
from benchmark.reports.terminal.screen import sturdy, words

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
        self._epochs = 0
        self._left = 0

    def matrix_started(self, runs: int, skipped: int) -> None:
        """Say how much there is to do."""
        self._left = runs
        self._say(f"runs to train: {runs}; that need nothing: {skipped}")

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

    def run_finished(self, label: str, outcome: str) -> None:
        """Say how a run ended."""
        self._left -= 1
        self._say(f"{plain(label)}: {_short(outcome)}  ({self._left} runs left)")

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


class Bars(Listener):
    """Three bars: the runs of the matrix, the epochs of the group, the images of the epoch.

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
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._matrix: TaskID | None = None
        self._group: TaskID | None = None
        self._epoch: TaskID | None = None

    def matrix_started(self, runs: int, skipped: int) -> None:
        """Open the bars."""
        if runs == 0:
            return
        self._start()
        self._matrix = self._progress.add_task("runs", total=runs)
        if skipped:
            self.note(f"{skipped} runs need nothing: recorded already, or not wanted")

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Say who trains, and open the group's bars."""
        self._clear()
        self._print(Text(plain(title), style="bold"))
        for label in labels:
            self._print(Text(f"  • {plain(label)}"))
        self._group = self._progress.add_task("epochs", total=epochs, completed=done)

    def epoch_started(self, epoch: int, images: int) -> None:
        """Open the epoch's bar."""
        if self._epoch is not None:
            self._progress.remove_task(self._epoch)
        self._epoch = self._progress.add_task("images", total=images)

    def images_done(self, images: int) -> None:
        """Move the epoch's bar."""
        if self._epoch is not None:
            self._progress.update(self._epoch, advance=images)

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Show how every learner did."""
        if self._group is not None:
            self._progress.update(self._group, completed=epoch)
        self._print(Text(f"epoch {epoch}, {images_per_s:.0f} images/s", style="dim"))
        labels = [plain(learner.label) for learner in learners]
        width = max(map(len, labels), default=0)
        for label, learner in zip(labels, learners, strict=True):
            self._print(Text(f"  {label:{width}}  {in_one_line(learner)}"))

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
        self._clear()
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

    def _clear(self) -> None:
        for task in (self._group, self._epoch):
            if task is not None:
                self._progress.remove_task(task)
        self._group = self._epoch = None


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
