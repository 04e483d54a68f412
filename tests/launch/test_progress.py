"""What is being trained, by whom, and what is half trained, is seen by everyone."""

from __future__ import annotations

import io
import os
import signal
import socket
from dataclasses import asdict
from pathlib import Path

from benchmark.events import Listener
from benchmark.launch.claims import Claims
from benchmark.launch.means import Means
from benchmark.reports.terminal.screen import Screen
from benchmark.reports.terminal.work import watching, work_tables
from tests.support.sessions import Execute, Make


class Impatient(Listener):
    """Presses Ctrl-C in the second epoch."""

    def epoch_started(self, epoch: int, images: int) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_claimed_run_is_seen_with_its_holder_and_epoch(session: Make) -> None:
    made = session("vanilla")
    [run] = made.runs().values()
    assert made.at_work() == []
    claims = Claims(made.workspace.folder)
    claims.take(run.identity, run.label)
    claims.tell(run.identity, 3, 4)
    assert claims.holds(run.identity)  # which writes
    [row] = made.at_work()
    assert (row.label, row.epoch, row.epochs) == ("resnet8 vanilla", 3, 4)
    assert (row.host, row.pid) == (socket.gethostname(), os.getpid())
    claims.close()
    assert made.at_work() == []


def test_a_half_trained_run_is_seen_by_status_and_plan(
    session: Make, execute: Execute, cache_dir: Path
) -> None:
    execute(session("vanilla", protocol="longer"), listener=Impatient())
    made = session("vanilla", protocol="longer")
    [row] = made.at_work()
    assert (row.host, row.epoch, row.epochs) == ("", 1, 4)
    [[group]] = made.overview(Means(cache_dir))["levels"]
    assert [run["epoch"] for run in group["runs"]] == [1]
    out = io.StringIO()
    Screen(out, width=80).print(*work_tables([asdict(row)]))
    assert "1/4" in out.getvalue()
    assert "half trained" in out.getvalue()


def test_watching_prints_what_is_new_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with watching(Screen(out)) as show:
        for epoch in (1, 1, 2):
            show([f"epoch {epoch}"])
    assert out.getvalue() == "epoch 1\nepoch 2\n"
