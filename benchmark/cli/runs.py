"""The commands of ``kdbench runs``: what lies in the folder of runs, and what of it can go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.cells import choosing_cells
from benchmark.cli.options import JsonOption, ResultsOption, RunsOption
from benchmark.cli.output import MOMENT, console, print_json, say
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.launch.kept.pruning import Needless
    from benchmark.matrix.request import Request

runs_app = typer.Typer(
    help="Look at the folder of runs, and remove what is not needed; alone, the list.",
    invoke_without_command=True,
)


@runs_app.callback()
def _alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_()


@runs_app.command("list")
def list_(
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """List the runs whose checkpoints and weights are kept: cell, state, epoch, size."""
    from benchmark.launch.kept.listing import list_runs
    from benchmark.records.store import Store
    from benchmark.reports.terminal.work import runs_table

    found = [run.as_json() for run in list_runs(runs, Store(results).all().records)]
    if as_json:
        print_json(found)
    else:
        console().print(runs_table(found))


@runs_app.command()
@choosing_cells
def prune(
    request: Request,
    *,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    weights: Annotated[
        bool,
        typer.Option(
            "--weights",
            help="Also the weights of recorded runs of the choice on which no open cell of it "
            "builds; name the choice.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what no open cell needs: shows what and how large, and asks.

    That is checkpoints of finished runs and of stale ones, those of older versions, and empty
    folders. Weights stay unless --weights is given. A run that a process trains is left alone.
    """
    from benchmark.errors import UsageError
    from benchmark.launch.kept.pruning import remove
    from benchmark.reports.terminal.work import needless_table

    if weights and not request.chooses_cells:
        raise UsageError(
            "--weights: which cells are open depends on the choice. Name it as for 'kdbench plan', "
            "with --suite or --dataset; weights of other runs stay."
        )
    found = _found(request, runs, results, weights=weights)
    told = [one.as_json() for one in found]
    out = console(stderr=as_json)
    size = f"{sum(one.size_bytes for one in found) / 1e6:,.1f} MB"
    if not as_json:
        out.print(needless_table(told) if found else "Nothing in the folder can go.")
    if found and not dry_run and (yes or _agreed(size)):
        freed = [number for _, number in remove(runs, found)]
        removed = sum(freed)
        say(out, f"Removed {removed / 1e6:,.1f} MB.")
    else:
        removed = 0
        if found and not as_json:
            say(out, f"Nothing was removed; with --yes, {size} go.")
    if as_json:
        print_json({"removed_bytes": removed, "needless": told})


def _agreed(size: str) -> bool:
    """Whether a person at a terminal says yes."""
    MOMENT.clear()
    return sys.stdin.isatty() and typer.confirm(f"Remove {size}?", err=True)


def _found(request: Request, runs: Path, results: Path, *, weights: bool) -> list[Needless]:
    from benchmark.catalogues.today import current
    from benchmark.launch.kept.listing import list_runs
    from benchmark.launch.kept.pruning import needless, open_cells
    from benchmark.records.store import Store

    finished, wanted = set[str](), set[str]()
    if weights:
        from benchmark.launch.session import Session  # imports torch

        finished, wanted = open_cells(Session(request, runs=runs, results=results).plan())
    today = current(request.paths, cache_folder())
    return needless(list_runs(runs, Store(results).all().records), today.reason, finished, wanted)
