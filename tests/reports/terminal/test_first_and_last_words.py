"""What a person is told before there is anything to show, and when all is over."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from benchmark.reports.terminal.afterwards import Folders, afterwards
from benchmark.reports.terminal.moment import Moment
from benchmark.reports.terminal.screen import Screen


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def watch(monkeypatch):
    """Put a stream in the place of the standard error; within a test, as pytest does before it."""

    def put(stream=None):
        stream = stream or Terminal()
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    monkeypatch.setenv("TERM", "xterm")
    return put


def test_what_takes_a_moment_is_said_and_taken_away(watch):
    watched = watch()
    moment = Moment()
    moment.clear()
    assert watched.getvalue() == ""
    moment.say("loading")
    moment.say("planning")
    moment.clear()
    moment.clear()
    assert watched.getvalue() == "loading …\r\x1b[Kplanning …\r\x1b[K"


def test_it_goes_before_anything_else_is_shown(watch, monkeypatch):
    watched = watch()
    moment = Moment()
    monkeypatch.setattr("benchmark.reports.terminal.screen.MOMENT", moment)
    moment.say("loading")
    Screen(watched, width=80).print("a result")
    assert watched.getvalue().endswith("\r\x1b[Ka result\n")


@pytest.mark.parametrize(
    ("variable", "value"), [("TERM", "dumb"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")]
)
def test_nothing_is_said_where_nobody_watches(variable, value, watch, monkeypatch):
    monkeypatch.setenv(variable, value)
    watched = watch()
    Moment().say("loading")
    assert watched.getvalue() == ""


def test_nothing_is_said_in_a_log(watch):
    log = watch(io.StringIO())
    Moment().say("loading")
    assert log.getvalue() == ""


def test_a_stream_that_is_closed_or_none_stops_nothing(watch, monkeypatch):
    watch().close()
    Moment().say("loading")
    monkeypatch.setattr("sys.stderr", None)
    Moment().say("loading")


def test_a_terminal_without_the_sign_is_told_nothing(watch):
    watched = watch()
    watched.encoding = "ascii"
    Moment().say("loading")
    assert watched.getvalue() == ""


def test_the_last_words_name_the_folders_and_commands_with_the_same_options():
    usual = afterwards(Folders(Path("results"), Path("runs")), ("birds/a__b/kd/seed0", True))
    assert usual[0] == ("The records are in results, weights and checkpoints in runs. Next:")
    assert "  kdbench show birds/a__b/kd/seed0\n      one record" in usual
    assert usual[-2].startswith("  kdbench leaderboard\n")
    assert usual[-1].startswith(
        "  kdbench export birds/a__b/kd/seed0 --to student --format torch-export\n"
    )
    own = Folders(Path("my results"), Path("r"), [Path("mine")])
    shown = afterwards(own, ("birds/a__b/kd[temperature=2]/seed0", False))
    options = "--results 'my results' --runs r --path mine"
    assert f"  kdbench show 'birds/a__b/kd[temperature=2]/seed0' {options}\n" in shown[1]
    options = "--results 'my results' --path mine --output 'my results/leaderboard.md'"
    assert f"  kdbench leaderboard {options}\n" in shown[2]
    assert len(shown) == 3, "what has no result is not exported"


def test_there_is_nothing_to_say_of_nothing():
    assert afterwards(Folders(Path("results"), Path("runs")), None) == []
