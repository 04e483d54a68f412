"""What a terminal shows while the matrix runs: who trains, and below it bars."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from benchmark.events import LearnerEpoch, Listener
from benchmark.reports.escape import plain
from benchmark.reports.terminal.live.members import Members, lines, short
from benchmark.reports.terminal.live.single import Single
from benchmark.reports.terminal.screen import words
from benchmark.reports.wording.duration import left

USUAL = 80  # signs of a line; in fewer there is room for the time that is left and for no bar
BEGINNING = "the workers start, and the data are opened"


class Name(ProgressColumn):
    """What is done; of a group with the mark that it has in the table."""

    def render(self, task: Task) -> Text:
        """Its name."""
        group: GroupBars | None = task.fields.get("group")
        return Text(f"{group.mark if group else ''}{task.description}")


class Amount(ProgressColumn):
    """Of a group its images per second, of the matrix its time until now, of other work M/N."""

    def __init__(self, table_column: Column) -> None:
        super().__init__(table_column)
        self._usual = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        """How much it is."""
        if "rate" in task.fields:
            rate = task.fields["rate"] or task.speed
            text = f"{rate:,.0f} images/s" if rate else ""
        elif "ends_at" in task.fields:
            text = str(timedelta(seconds=int(task.elapsed or 0)))
        else:
            return self._usual.render(task)
        return Text(text, style="progress.elapsed")


class TimeLeft(ProgressColumn):
    """What is left of a bar: what the engine tells of it; of other work, as the bar itself moves.

    A task has ``ends_at`` if the engine tells of it; it is None while that is not known.
    """

    def __init__(self, table_column: Column) -> None:
        super().__init__(table_column)
        self._usual = TimeRemainingColumn(compact=True)

    def render(self, task: Task) -> Text:
        """The time that is left."""
        if "ends_at" not in task.fields:
            return self._usual.render(task)
        if task.finished or task.fields.get("is_over"):
            return Text()
        ends_at: float | None = task.fields["ends_at"]
        seconds = None if ends_at is None else max(0.0, ends_at - time.monotonic())
        return Text(left(seconds), style="progress.remaining")


class Watched(Progress):
    """Bars with the table of members above them, in the height that there is.

    Args:
        console: where they are shown.
    """

    def __init__(self, console: Console) -> None:
        self.groups: dict[int, GroupBars] = {}
        self.begins = False  # nothing has trained yet
        self.begun = 0  # groups
        self._size_of = console  # asked for while rich's own part is still made
        name = Name(table_column=Column(no_wrap=True))
        amount = Amount(table_column=Column(no_wrap=True, justify="right"))
        time_left = TimeLeft(table_column=Column(no_wrap=True))
        self._wide = name, BarColumn(bar_width=None), amount, time_left
        self._narrow = name, time_left
        super().__init__(*self._wide, console=console, expand=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        """The table, and the bars: at most every second line is one of theirs."""
        width, height = self._size_of.size
        bars = self.tasks[: max(height // 2, 1)]
        tables = [(one.mark, one.members) for one in list(self.groups.values()) if one.members]
        # A line below them is the cursor's.
        yield from lines(tables, width, height - len(bars) - 1)
        if self.begins and not tables:
            yield Text(BEGINNING, style="dim")
        self.columns = self._wide if width >= USUAL else self._narrow
        yield self.make_tasks_table(bars)


class Bars(Single):
    """The members that train, a bar of each group, and one of the runs of the matrix.

    Other work on many images has a bar below them, or one of its own where nothing runs yet. What
    ends is printed above all, and stays.
    """

    console: Console

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._progress = Watched(console)
        self._matrix: TaskID | None = None
        self._runs = self._ended = 0
        self._noted: str | None = None

    def matrix_started(self, runs: int, skipped: int) -> None:
        """Open the bars."""
        if runs == 0:
            return
        self._runs, self._ended = runs, 0
        self._progress.begins, self._progress.begun = True, 0
        self._start()
        self._matrix = self._progress.add_task(f"runs 0/{runs}", total=runs, ends_at=None)
        if skipped:
            self.note(f"{skipped} runs need nothing: recorded already, or not wanted")

    def beside(self, group: int) -> Listener:
        """The members and the bar of one group, with a number where several train at once."""
        self._progress.begins = False
        return GroupBars(self._progress, group, self._start, self._stop)

    def time_left(self, seconds: float | None) -> None:
        """Show it at the matrix's bar."""
        if self._matrix is not None:
            self._progress.update(self._matrix, ends_at=_ends_at(seconds))

    def run_finished(self, label: str, outcome: str) -> None:
        """Move the matrix's bar and show the result."""
        self._ended += 1
        if self._matrix is not None:
            said = f"runs {self._ended}/{self._runs}"
            self._progress.update(self._matrix, advance=1, description=said)
        self._print(Text(f"{plain(label)}: {short(outcome)}", style="bold"))

    def run_left(self, label: str, outcome: str) -> None:
        """Show why a run is left as it is; it is not among those that the bar counts."""
        self._print(Text(f"{plain(label)}: {short(outcome)}", style="bold"))

    def note(self, message: str) -> None:
        """Show it above the bars; what several workers say in turn is shown once."""
        if message != self._noted:
            self._noted = message
            self._print(words(message))

    @property
    def shows(self) -> bool:
        """Whether others may draw: a bar of theirs would break up those that stand here."""
        return not self._progress.live.is_started

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Open a bar among those that stand; if none does, for as long as the work takes."""
        task = self._progress.add_task(plain(title), total=total)
        alone = self._start()
        try:
            yield lambda more: self._progress.advance(task, more)
        finally:
            if alone:
                self._stop()  # before the bar is taken away: it stays to be read
            self._progress.remove_task(task)

    def close(self) -> None:
        """Take the bars away and show the cursor again; does nothing where that is done."""
        super().close()
        self._progress.begins = False
        if self._matrix is not None:
            self._progress.update(self._matrix, is_over=True)
        for group in list(self._progress.groups.values()):
            group.close()
        self._stop()

    def _start(self) -> bool:
        """Let the bars stand; whether they did not."""
        if self._progress.live.is_started:
            return False
        # Whoever ends the process and does not close leaves a terminal with a cursor.
        atexit.register(self.close)
        self._progress.start()
        return True

    def _stop(self) -> None:
        if self._progress.live.is_started:
            self._progress.stop()
            atexit.unregister(self.close)

    def _print(self, line: Text) -> None:
        self._progress.console.print(line)


class GroupBars(Listener):
    """The members of a group, and a bar of all images that they train.

    Args:
        progress: among whose bars it stands.
        number: of the group.
        start: lets the bars stand, and tells whether they did not.
        stop: takes them away.

    Attributes:
        members: None until it is known who trains.
    """

    def __init__(
        self,
        progress: Watched,
        number: int,
        start: Callable[[], bool],
        stop: Callable[[], None],
    ) -> None:
        progress.begun += 1
        self._start, self._stop, self._alone = start, stop, False
        self._told: dict[str, Any] = {}
        self._progress, self._number, self._place = progress, number, progress.begun
        self.members: Members | None = None
        self._labels: Sequence[str] = ()
        self._title = ""
        self._bar: TaskID | None = None
        progress.groups[number] = self

    @property
    def mark(self) -> str:
        """What its bar is known by, where there are several."""
        return f"({self._place}) " if len(self._progress.groups) > 1 else ""

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        """Show who trains, and open the bar."""
        self._labels, self._title = labels, plain(title)
        self.members = Members.starting(title, labels, epochs, done)
        self._remove()
        self._bar = self._progress.add_task(
            f"epoch {done}/{epochs}",
            total=epochs,  # in images, once their number is known
            completed=done,
            rate=None,
            group=self,
            **self._told,
        )
        self._alone = self._start() or self._alone

    def time_left(self, seconds: float | None) -> None:
        """Show it at the bar."""
        self._told = {"ends_at": _ends_at(seconds)}
        if self._bar is not None:
            self._progress.update(self._bar, **self._told)

    def epoch_started(self, epoch: int, images: int) -> None:
        """Say which one it is."""
        if self.members is None or self._bar is None:
            return
        self.members.trains = True
        self._progress.update(
            self._bar,
            description=f"epoch {epoch}/{self.members.epochs}",
            total=images * self.members.epochs,
            completed=images * (epoch - 1),
        )

    def images_done(self, images: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._progress.update(self._bar, advance=images)

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Show how every learner did; who leaves is told of above all."""
        if self._bar is not None:
            self._progress.update(self._bar, rate=images_per_s)
        if self.members is not None:
            self.members.hear(epoch, self._labels, learners)
        for learner in learners:
            if learner.error is not None:
                who = f"{self._title}, {plain(learner.label)}"
                said = Text(f"{who} left its group: {short(learner.error)}", style="red")
                self._progress.console.print(said)

    def close(self) -> None:
        """Take its part of the screen away."""
        self._remove()
        self._progress.groups.pop(self._number, None)
        if self._alone:
            self._stop()

    def _remove(self) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None


def _ends_at(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds
