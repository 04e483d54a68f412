"""A terminal or a log that cannot show something stops nothing."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.events import LearnerEpoch
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.terminal.live import Bars, listener
from benchmark.reports.terminal.results import result_table
from benchmark.reports.terminal.screen import Screen
from tests.records.made_records import world

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def everything(heard):
    """All that an engine can tell."""
    heard.matrix_started(2, 1)
    group = heard.beside(1)
    group.group_started("resnet20 → resnet8 …", ["kd [/]", "[bold]"], epochs=3, done=1)
    group.epoch_started(2, 100)
    group.images_done(64)
    group.epoch_finished(2, [LearnerEpoch("kd [/]", {"ce": 1.0}, 61.5)], 123.4)
    with heard.progress("decoding [/red]", 10) as advance:
        advance(10)
    heard.note("a note\\")
    heard.run_finished("kd [/]", "failed: expected [a, b] [/] \\")
    heard.close()
    heard.close()


@pytest.fixture
def gone():
    """A pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    yield stream
    with contextlib.suppress(OSError):
        stream.close()


@pytest.fixture
def full():
    """A file on a disk that is full."""
    stream = FULL.open("w")
    yield stream
    with contextlib.suppress(OSError):
        stream.close()


@pytest.mark.parametrize("terminal", [False, True])
class TestWriting:
    """To what cannot be written to: as a log, and as a terminal."""

    def listener(self, stream, terminal):
        return listener(Console(file=stream, force_terminal=terminal, width=60))

    @needs_full
    def test_a_full_disk_is_said_once(self, terminal, full, capsys):
        everything(self.listener(full, terminal))
        said = capsys.readouterr().err
        assert said == "Not everything can be shown: No space left on device.\n"

    def test_a_reader_who_left_is_said_once(self, terminal, gone, capsys):
        everything(self.listener(gone, terminal))
        assert capsys.readouterr().err == "Not everything can be shown: Broken pipe.\n"

    def test_a_closed_log_is_said_once(self, terminal, capsys):
        stream = io.StringIO()
        heard = self.listener(stream, terminal)
        stream.close()
        everything(heard)
        assert capsys.readouterr().err.count("Not everything can be shown") == 1

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
    def test_what_an_encoding_lacks_is_replaced(self, terminal, encoding):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        everything(self.listener(stream, terminal))
        text = raw.getvalue().decode(encoding)
        assert ("resnet20 → resnet8" if encoding == "utf-8" else "resnet20 -> resnet8") in text
        assert "failed: expected [a, b] [/] \\" in text

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_tables_are_shown_in_what_there_is(self, terminal, encoding):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        screen = Screen(stream, width=80, force_terminal=terminal)
        for part in result_table(aggregate(world())):
            screen.print(part)
        text = raw.getvalue().decode(encoding)
        assert "resnet20 -> resnet8" in text
        assert ("62.13 +- 0.15" if encoding == "ascii" else "62.13 ± 0.15") in text


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stderr=subprocess.PIPE,
        check=False,
        **options,
    )


@needs_full
def test_python_ends_well_though_the_last_words_were_lost():
    code = """
    from benchmark.reports.terminal import console
    console().print("x" * 100)
    """
    with FULL.open("w") as full:
        done = run(code, stdout=full)
    assert done.returncode == 0
    assert done.stderr == b"Not everything can be shown: No space left on device.\n"


def test_a_list_whose_reader_has_seen_enough_ends_without_a_word():
    code = """
    from benchmark.reports.terminal import console
    out = console()
    for _ in range(10_000):
        out.print("x" * 70)
    """
    reader, writer = os.pipe()
    os.close(reader)
    done = run(code, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "raise RuntimeError", "pass"])
def test_the_cursor_is_there_again_when_python_ends(ending):
    code = f"""
    import sys
    from benchmark.reports.terminal.live import Bars
    from benchmark.reports.terminal.screen import Screen
    heard = Bars(Screen(sys.stdout, force_terminal=True, width=60))
    heard.matrix_started(2, 0)
    {ending}
    """
    shown = run(code, stdout=subprocess.PIPE).stdout
    assert shown.count(b"\x1b[?25l") == 1
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def test_closing_twice_shows_nothing_twice():
    file = io.StringIO()
    heard = Bars(Screen(file, force_terminal=True, width=60))
    heard.matrix_started(1, 0)
    heard.close()
    shown = file.getvalue()
    heard.close()
    assert file.getvalue() == shown
