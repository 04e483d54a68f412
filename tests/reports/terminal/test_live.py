"""What is shown while something runs: lines in a log, bars on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from benchmark.events import LearnerEpoch, Listener
from benchmark.reports.terminal import as_svg, console
from benchmark.reports.terminal.live import Bars, Lines, listener

NEWS = [LearnerEpoch("kd", {"ce": 1.0, "kd": 0.5}, 61.5), LearnerEpoch("at", {}, None, "a nan")]


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
    group.group_started("CIFAR-100, paper, seed 0", ["kd", "at"], epochs=3, done=1)
    group.epoch_started(2, 100)
    group.images_done(64)
    group.epoch_finished(2, NEWS, 123.4)
    heard.run_finished("kd", "61.50 %")
    heard.close()


def test_bars_on_a_terminal_and_lines_elsewhere(log, terminal):
    assert isinstance(listener(terminal.console), Bars)
    assert isinstance(listener(log.console), Lines)


class TestLines:
    def test_tell_every_epoch_and_result(self, log):
        matrix(listener(log.console))
        assert log.lines == [
            "runs to train: 2; that need nothing: 1",
            "CIFAR-100, paper, seed 0: kd; at, continuing after epoch 1",
            "epoch 2/3  kd  61.50 %  ce 1  kd 0.5  123 images/s",
            "epoch 2/3  at  left the group: a nan  123 images/s",
            "kd: 61.50 %  (1 run left)",
        ]

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
        for part in ("• kd", "epoch 2, 123 images/s", "left the group: a nan", "kd: 61.50 %"):
            assert part in terminal.text

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
    heard.time_left(200.0)
    heard.time_left(125.0)  # within the minute
    assert log.lines == ["about 3 min 20 s left"]
    bars = Bars(terminal.console)
    bars.matrix_started(2, 0)
    group = bars.beside(1)
    group.group_started("CIFAR-100, paper, seed 0", ["kd"], epochs=3, done=1)
    group.time_left(7500.0)
    bars.time_left(273_600.0)
    terminal.console.print(bars._progress.get_renderable())
    bars.close()
    assert "2 h 5 min" in terminal.text
    assert "3 d 4 h" in terminal.text


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
