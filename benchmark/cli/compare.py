"""The command that puts two methods, or two folders of records, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import JsonOption, PathOption, ResultsOption
from benchmark.cli.output import console, print_json
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.reports.board.tables import Board


def compare(
    first: Annotated[str, typer.Argument(help="A method as the tables call it, or a folder.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    recipe: Annotated[
        list[str] | None,
        typer.Option("--recipe", help="Of two folders: these methods alone; repeatable."),
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="What is compared.")] = "top1",
    results: ResultsOption = Path("results"),
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put two methods side by side: differences paired by seed, cost, and what they prove.

    Each data set, protocol and pair is a block. Two folders of records are compared method by
    method, e.g. before and after a change.
    """
    from benchmark.errors import UsageError
    from benchmark.reports.board.versus import over, versus, versus_folders
    from benchmark.reports.terminal.versus import versus_tables

    folders = Path(first), Path(second)
    if all(folder.is_dir() for folder in folders):
        one, two = (_board(folder, metric, path or []) for folder in folders)
        blocks = versus_folders(one, two, recipe or ())
    elif recipe:
        raise UsageError("--recipe is for two folders: two methods are named as they are.")
    else:
        blocks = versus(_board(results, metric, path or []), first, second)
    together = over(blocks)
    if as_json:
        print_json(
            {
                "first": first,
                "second": second,
                "metric": metric,
                "blocks": [block.as_json() for block in blocks],
                "over": together.as_json() if together else None,
            }
        )
        return
    out = console()
    for table in versus_tables(blocks, together, (first, second)):
        out.print(table)


def _board(results: Path, metric: str, paths: list[Path]) -> Board:
    """The tables of a folder, as the leaderboard has them."""
    from benchmark.catalogues.today import current, sources
    from benchmark.errors import RecordError
    from benchmark.records.store import Store
    from benchmark.reports.board.aggregate import aggregate
    from benchmark.reports.board.metrics import METRICS

    measure = METRICS.get(metric)
    if not results.is_dir():
        raise RecordError(f"there is no folder of records {results}. Correct --results.")
    contents = Store(results).all()
    origin = sources(paths, cache_folder(), contents.attested).group
    today = current(paths, cache_folder())
    return aggregate(contents.records, today, metric=measure, origin=origin)
