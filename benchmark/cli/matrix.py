"""The commands on the matrix: train it, plan it, see how far it is."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.cells import choosing_cells
from benchmark.cli.options import (
    JsonOption,
    OwnOption,
    ResultsOption,
    Retry,
    RetryOption,
    RunsOption,
)
from benchmark.cli.output import DEBUG, MOMENT, console, print_json, say
from benchmark.cli.overview import other_records, overview
from benchmark.folders import cache_folder
from benchmark.memory import collecting_later, staying

MEASURED_S = 8.0  # of the steps of a group: the rate is then within some percent
WATCH_S = 2.0  # seldom enough for a folder of a thousand runs on NFS

if TYPE_CHECKING:
    from benchmark.launch.means import Means
    from benchmark.launch.session import Session
    from benchmark.launch.summary import Summary
    from benchmark.matrix import states
    from benchmark.matrix.request import Request
    from benchmark.reports.terminal import Console


@choosing_cells
def run(
    request: Request,
    means: Means,
    *,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    retry: RetryOption = None,
    own: OwnOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, train nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train every run that the chosen cells need, record it, and show the table.

    What is recorded is not trained again, what was interrupted goes on: repeat the command.
    """
    from benchmark.reports.terminal.live import listener

    session = _session(request, runs=runs, results=results, retry=_words(retry, own=own))
    MOMENT.say("planning")
    if dry_run:
        _show_plan(session, means, as_json=as_json)
        return
    from benchmark.reports.tracking import tracked

    out = console(stderr=as_json)
    summary = session.run(means, tracked(listener(out), means.tells, means.track_to))
    if not summary.is_main_process:
        raise typer.Exit(0)  # the main process speaks; a launcher would end it if this one failed
    if as_json:
        print_json(summary.as_json())
    else:
        _show_results(session, summary, out)
    raise typer.Exit(summary.exit_code)


@choosing_cells
def plan(
    request: Request,
    means: Means,
    *,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    retry: RetryOption = None,
    own: OwnOption = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="First measure groups of unknown time: some 10 seconds each."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do: runs, groups, how long each and all take, what is done already.

    Times are of groups that were trained or measured on this machine, or of records.
    """
    session = _session(request, runs=runs, results=results, retry=_words(retry, own=own))
    MOMENT.say("planning")
    if measure:
        from benchmark.reports.terminal.live import listener

        heard = listener(console(stderr=True))
        session.forecasts(means).measure(session.recipes, heard, seconds=MEASURED_S)
        heard.close()
    _show_plan(session, means, as_json=as_json)


@choosing_cells
def status(
    request: Request,
    *,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every few seconds until all is done.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how much of a choice is done, failed, stale, changed, damaged or missing.

    Who trains what is shown too, whichever command on the same folder of runs it is. Without a
    choice: what the folders of results and of runs hold.
    """
    if not request.chooses_cells:
        overview(request.paths, runs, results, watch=watch, as_json=as_json)
        return
    from dataclasses import asdict

    from benchmark.reports.terminal.results import coverage_table
    from benchmark.reports.terminal.work import watching, work_tables

    session = _session(request, runs=runs, results=results)
    if as_json:
        print_json(session.coverage())
        return
    out = console()
    with watching(out) as show:
        while True:
            coverage = session.coverage()
            at_work = [asdict(run) for run in session.at_work()]
            show([coverage_table(coverage), *work_tables(at_work)])
            if not watch or not (at_work or any(row["missing"] for row in coverage)):
                break
            time.sleep(WATCH_S)
    for note in [*session.notes(), *other_records(results)]:
        say(out, note)


def _session(
    request: Request, *, runs: Path, results: Path, retry: Collection[states.Retry] = ()
) -> Session:
    with staying():
        from benchmark.launch.session import Session  # imports all that trains
    with collecting_later():
        return Session(request, runs=runs, results=results, retry=retry)


def _words(retry: list[Retry] | None, *, own: bool) -> list[states.Retry]:
    from benchmark.matrix import states  # imports torch

    elsewhere = [states.Retry.elsewhere] if own else []
    return [*(states.Retry(word.value) for word in retry or ()), *elsewhere]


def _show_plan(session: Session, means: Means, *, as_json: bool) -> None:
    from benchmark.reports.terminal.listings import plan_table

    overview = session.overview(means)
    if as_json:
        print_json(overview)
        return
    out = console()
    for table in plan_table(overview):
        out.print(table)


def _show_results(session: Session, summary: Summary, out: Console) -> None:
    from benchmark.catalogues.today import sources
    from benchmark.launch.summary import tracebacks
    from benchmark.reports.board.aggregate import aggregate
    from benchmark.reports.terminal.afterwards import Folders, afterwards
    from benchmark.reports.terminal.results import result_table

    known = sources(session.request.paths, cache_folder(), session.store.attested()[0])
    for table in result_table(aggregate(session.records(), origin=known.group)):
        out.print(table)
    if DEBUG.get():
        for text in tracebacks(summary.failed):
            say(out, text)
    folders = Folders(session.store.root, session.workspace.root, session.request.paths)
    for line in (*summary.lines(), *afterwards(folders, session.example())):
        say(out, line)
