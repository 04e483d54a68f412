"""What is shown while something runs: lines in a log, bars on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from benchmark.events import LearnerEpoch, Listener
from benchmark.reports.terminal import as_svg, console
from benchmark.reports.terminal.live import Bars, Lines, listener
from benchmark.reports.terminal.live.bars import BEGINNING

NEWS = [
    LearnerEpoch("a→b kd", {"ce": 1.0, "kd": 0.5}, 61.5),
    LearnerEpoch("a→b at", {}, None, "a nan"),
]


class Screen:
    """A console that keeps what it was given."""

    def __init__(self, *, terminal: bool) -> None:
        self.file = io.StringIO()
        self.console = Console(
            file=self.file, width=80, force_terminal=terminal, force_interactive=terminal
        )

    @property
    def text(self) -> str:
        """All that was printed, without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue())

    def shown(self, heard: Bars) -> str:
        """What is drawn now, without the bars."""
        file = io.StringIO()
        plain = Console(file=file, width=80, force_terminal=True, color_system=None)
        plain.print(heard._progress.get_renderable())
        text = re.sub(r"[━╸╺]", " ", file.getvalue())
        return "\n".join(line.rstrip() for line in text.splitlines())

    @property
    def lines(self) -> list[str]:
        """The lines of a log without the time of the day."""
        return [line.partition("  ")[2] for line in self.text.splitlines()]


@pytest.fixture
def log():
    return Screen(terminal=False)


@pytest.fixture
def terminal():
    return Screen(terminal=True)


def matrix(heard: Listener) -> None:
    heard.matrix_started(2, 1)
    group = heard.beside(1)
    group.group_started("CIFAR-100, paper, seed 0", ["a→b kd", "a→b at"], epochs=3, done=1)
    group.epoch_started(2, 100)
    group.images_done(64)
    group.epoch_finished(2, NEWS, 123.4)
    heard.run_finished("a→b kd", "61.50 %")
    heard.close()


def test_bars_on_a_terminal_and_lines_elsewhere(log, terminal):
    assert isinstance(listener(terminal.console), Bars)
    assert isinstance(listener(log.console), Lines)


class TestLines:
    def test_tell_every_epoch_and_result(self, log):
        matrix(listener(log.console))
        assert log.lines == [
            "runs to train: 2; that need nothing: 1",
            "group 1, CIFAR-100, paper, seed 0: a→b: kd; at, continuing after epoch 1",
            "group 1, epoch 2/3: kd 61.50 %, loss 1.5; at left the group: a nan  (123 images/s)",
            "a→b kd: 61.50 %  (1 run left)",
        ]

    def test_what_was_left_is_not_counted_as_done(self, log):
        heard = listener(log.console)
        heard.matrix_started(2, 0)
        heard.run_left("a→b at", "stopped after epoch 2 of 3; the same command continues")
        heard.run_finished("a→b kd", "61.50 %")
        assert log.lines[1:] == [
            "a→b at: stopped after epoch 2 of 3; the same command continues",
            "a→b kd: 61.50 %  (1 run left)",
        ]

    def test_an_epoch_of_a_group_is_one_line_that_says_when_all_is_done(self, log):
        heard = listener(log.console)
        heard.matrix_started(2, 0)
        heard.time_left(None)
        group = heard.beside(7)
        group.group_started("CIFAR-100, paper, seed 0", ["a→b kd"], epochs=3, done=0)
        heard.time_left(7201.0)
        for epoch in (1, 2):
            heard.time_left(7201.0)
            group.epoch_finished(epoch, NEWS[:1], 123.4)
        said = [line for line in log.lines if "left, until" in line]
        assert len(said) == 3
        assert said[0].startswith("2 h left, until ")
        assert "(123 images/s; 2 h left, until " in said[2]
        assert "time left: not known yet" in log.lines

    def test_what_several_workers_say_in_turn_is_one_line(self, log):
        heard = listener(log.console)
        for message in ("reading", "reading", "drawing", "reading"):
            heard.note(message)
        assert log.lines == ["reading", "drawing", "reading"]

    def test_work_on_images_is_a_line_at_its_start_and_one_at_its_end(self, log):
        with listener(log.console).progress("decoding [birds]", 1200) as advance:
            assert log.lines == ["decoding [birds]: 1,200 to do"]
            advance(1000)
            advance(200)
        assert log.lines[1:] == ["decoding [birds]: 1,200 of 1,200 done"]

    def test_how_much_there_is_may_be_unknown(self, log):
        with listener(log.console).progress("fetching", None) as advance:
            advance(1000)
        assert log.lines == ["fetching: begun", "fetching: 1,000 done"]

    def test_work_that_fails_has_no_line_at_its_end(self, log):
        with pytest.raises(OSError, match="disk"), listener(log.console).progress("decoding", 9):
            raise OSError("disk")
        assert len(log.lines) == 1

    def test_nobody_watches(self, log):
        assert not listener(log.console).shows


class TestBars:
    def test_tell_every_epoch_and_result(self, terminal):
        matrix(listener(terminal.console))
        for part in (
            "CIFAR-100, paper, seed 0, a→b at left its group: a nan",
            "a→b kd: 61.50 %",
            "runs 1/2",
        ):
            assert part in terminal.text

    def test_the_members_that_train_are_a_table_above_the_bars(self, terminal):
        heard = Bars(terminal.console)
        heard.matrix_started(2, 0)
        assert BEGINNING in terminal.shown(heard)
        for number in (2, 3):
            group = heard.beside(number)
            labels = ["a→b kd", "a→b at"]
            group.group_started(f"CIFAR-100, paper, seed {number}", labels, epochs=3, done=1)
            group.epoch_started(2, 100)
            group.images_done(50)
            group.time_left(None)
            group.epoch_finished(2, NEWS if number == 3 else [], 123.4)
        assert (
            terminal.shown(heard)
            == """\
  member   epoch top-1 %    loss  state
(1) CIFAR-100, paper, seed 2, a→b
  kd         1/3                  trains
  at         1/3                  trains
(2) CIFAR-100, paper, seed 3, a→b
  kd         2/3   61.50     1.5  trains
  at         1/3                  left: a nan
runs 0/2                                        0:00:00 time left: not known yet
(1) epoch 2/3                              123 images/s time left: not known yet
(2) epoch 2/3                              123 images/s time left: not known yet"""
        )
        group.close()
        assert "(" not in terminal.shown(heard)
        heard.close()

    def test_a_narrow_terminal_has_the_time_and_no_bar(self, terminal):
        terminal.console.width = 60
        heard = Bars(terminal.console)
        heard.matrix_started(2, 0)
        heard.time_left(60.5)
        assert re.search(r"^runs 0/2 +1 min left, until .*[0-9]$", terminal.shown(heard), re.M)
        heard.close()

    def test_the_screen_is_never_higher_than_the_terminal(self, terminal):
        terminal.console.height = 12
        heard = Bars(terminal.console)
        heard.matrix_started(200, 0)
        for number in range(8):
            labels = [f"a→b kd[temperature={t}]" for t in range(24)]
            heard.beside(number).group_started("CIFAR-100", labels, epochs=3, done=1)
            assert len(terminal.shown(heard).splitlines()) < 12
        assert "runs 0/200" in terminal.shown(heard)
        heard.close()

    def test_work_on_images_has_a_bar_that_stays_when_it_is_done(self, terminal):
        heard = Bars(terminal.console)
        with heard.progress("decoding [birds]", 1200) as advance:
            assert not heard.shows
            advance(1200)
        assert heard.shows
        assert re.search(r"decoding \[birds\] .*1200/1200", terminal.text.splitlines()[-1])

    def test_how_much_there_is_may_be_unknown(self, terminal):
        with Bars(terminal.console).progress("fetching", None) as advance:
            advance(1000)
        assert re.search(r"fetching .*1000/\?", terminal.text.splitlines()[-1])

    def test_it_stands_among_the_bars_of_a_matrix_and_leaves_them(self, terminal):
        heard = Bars(terminal.console)
        heard.matrix_started(2, 0)
        with heard.progress("decoding", 10) as advance:
            advance(10)
        assert not heard.shows, "the bars of the matrix still run"
        heard.run_finished("kd", "61.50 %")
        heard.close()
        # The bar would stand below that of the runs, which was there before.
        assert re.search(r"^ *runs .*1/2", terminal.text.splitlines()[-1])

    def test_after_a_stop_the_last_bar_says_how_many_are_done(self, terminal):
        heard = Bars(terminal.console)
        heard.matrix_started(24, 0)
        heard.run_finished("kd", "61.50 %")
        heard.time_left(60.0)
        for n in range(23):
            heard.run_left(f"at {n}", "not trained: stopped before")
        heard.close()
        last = terminal.text.splitlines()[-1]
        assert "runs 1/24" in last
        assert "left" not in last

    def test_work_within_work_has_a_bar_of_its_own(self, terminal):
        heard = Bars(terminal.console)
        with heard.progress("reading", 2):
            with heard.progress("decoding", 10) as advance:
                advance(10)
            assert not heard.shows, "the outer bar still runs"
        assert heard.shows

    def test_work_that_fails_leaves_no_bar_running(self, terminal):
        heard = Bars(terminal.console)
        with pytest.raises(OSError, match="disk"), heard.progress("decoding", 9):
            raise OSError("disk")
        assert heard.shows
        matrix(heard)  # and others may start

    def test_work_can_follow_a_matrix(self, terminal):
        heard = Bars(terminal.console)
        matrix(heard)
        with heard.progress("decoding", 10) as advance:
            advance(10)
        assert re.search(r"decoding .*10/10", terminal.text.splitlines()[-1])


def test_the_time_that_is_left_is_what_was_told_last(log, terminal):
    heard = Lines(log.console)
    heard.time_left(None)
    heard.time_left(200.0)
    heard.time_left(125.0)  # within the minute
    assert [line.partition(",")[0] for line in log.lines] == [
        "time left: not known yet",
        "3 min 20 s left",
    ]
    bars = Bars(terminal.console)
    bars.matrix_started(2, 0)
    group = bars.beside(1)
    group.group_started("CIFAR-100, paper, seed 0", ["kd"], epochs=3, done=1)
    group.time_left(7500.0)
    bars.time_left(273_600.0)
    terminal.console.print(bars._progress.get_renderable())
    bars.close()
    assert "2 h 5 min left, until " in terminal.text
    assert "3 d 4 h left, until " in terminal.text


def test_a_group_that_trains_without_a_matrix_is_shown_too(log, terminal):
    for heard in (listener(log.console), listener(terminal.console)):
        for epochs in (2, 3):
            heard.group_started("CIFAR-100, quick", ["a→b kd"], epochs=epochs, done=epochs - 1)
            heard.epoch_started(epochs, 100)
            heard.images_done(100)
            assert not heard.shows
            if isinstance(heard, Bars):
                assert "CIFAR-100, quick, a→b" in terminal.shown(heard)
            heard.epoch_finished(epochs, NEWS[:1], 123.4)
        heard.images_done(100)
        heard.epoch_started(1, 100)
        heard.close()
    assert heard.shows, "the bars are gone"
    assert [line for line in log.lines if "epoch 3/3" in line] == [
        "group 2, epoch 3/3: kd 61.50 %, loss 1.5  (123 images/s)"
    ]


def test_a_listener_that_shows_nothing_can_be_told_everything():
    heard = Listener()
    matrix(heard)
    with heard.progress("decoding", 10) as advance:
        advance(10)
    assert not heard.shows


def test_consoles_write_where_they_should():
    assert not console().stderr
    assert console(stderr=True).stderr


def test_a_picture_is_the_same_for_the_same_content():
    drawn = as_svg(["top-1 62.3"], width=40, title="a title")
    assert drawn == as_svg(["top-1 62.3"], width=40, title="a title")
    assert "a&#160;title" in drawn or "a title" in drawn
