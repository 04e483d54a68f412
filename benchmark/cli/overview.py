"""``kdbench status`` without a choice: what the folders of results and of runs hold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cli.output import console, print_json, say
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.launch.kept.listing import KeptRun
    from benchmark.records.store import Contents

LOOK_S = 5.0  # between two looks: all records are read


def overview(
    paths: Sequence[Path], runs: Path, results: Path, *, watch: bool, as_json: bool
) -> None:
    """Show what there is, whoever asked for it.

    Args:
        paths: folders with further recipes and cards.
        runs: folder of checkpoints and weights.
        results: folder of the records.
        watch: look again as long as somebody trains.
        as_json: rows as those of a choice, for machines.
    """
    from benchmark.launch.kept.listing import list_runs
    from benchmark.records.store import Store
    from benchmark.reports.terminal.results import holdings_table
    from benchmark.reports.terminal.work import watching, work_tables

    store = Store(results)
    if as_json:
        print_json(_rows(store.all(), paths))
        return
    out = console()
    with watching(out) as show:
        while True:
            held = store.all()
            rows, kept = _rows(held, paths), list_runs(runs, held.records)
            unfinished = [
                run.as_json() for run in kept if run.state in ("training", "half trained")
            ]
            table = [holdings_table(rows)] if rows else []
            if tables := [*table, *work_tables(unfinished)]:
                show(tables)
            if not watch or not any(run.holder for run in kept):
                break
            time.sleep(LOOK_S)
    for line in (*_of_results(results, rows, held), *_of_runs(runs, kept, paths), *_next()):
        say(out, line)


def other_records(results: Path) -> list[str]:
    """Where to look too: what was trained into another folder is not in the table."""
    from benchmark.records.places import other_roots

    return [
        f"This is of {results}; there are records in {other}, too: add --results {other}."
        for other in other_roots(results)
    ]


def _rows(held: Contents, paths: Sequence[Path]) -> list[Mapping[str, Any]]:
    from benchmark.catalogues.today import current, sources
    from benchmark.reports.board.holdings import holdings

    cache = cache_folder()
    known = sources(paths, cache, held.attested)
    return holdings(held.records, current(paths, cache), known.group)


def _of_results(results: Path, rows: Sequence[Mapping[str, Any]], held: Contents) -> Iterator[str]:
    """Sentences on the folder of results."""
    from benchmark.reports.wording.counts import counted

    if rows:
        newest = max(rows, key=lambda row: str(row["newest"]))
        number = counted(len(held.records), "record")
        yield f"{results}: {number}, the newest {newest['newest_cell']}."
    else:
        yield f"{results}: no record yet."
    if problems := held.problems:
        yield (
            f"{counted(len(problems), 'file')} there cannot be read, as {problems[0].path}; "
            "'kdbench doctor' says why."
        )
    yield from other_records(results)
    page = Path("leaderboard.md") if results == Path("results") else results / "leaderboard.md"
    if rows and page.is_file():
        yield f"{page}: the page of the records; 'kdbench leaderboard' writes it anew."


def _of_runs(runs: Path, kept: Sequence[KeptRun], paths: Sequence[Path]) -> Iterator[str]:
    """Sentences on the folder of runs."""
    from benchmark.catalogues.today import current
    from benchmark.launch.kept.pruning import needless
    from benchmark.reports.wording.counts import counted

    if not kept:
        return
    size = f"{sum(run.size_bytes for run in kept) / 1e6:,.1f} MB"
    half = sum(run.state == "half trained" for run in kept)
    number = counted(len(kept), "run") + (f", {half} half trained" if half else "")
    yield f"{runs}: {number}, {size}; 'kdbench runs' lists them."
    if found := needless(kept, current(paths, cache_folder()).reason):
        can_go = sum(one.size_bytes for one in found) / 1e6
        yield f"No open cell needs {can_go:,.1f} MB of it: 'kdbench runs prune' removes that."


def _next() -> Iterator[str]:
    """What says more."""
    from benchmark.cards.suites import suite_names

    yield (
        "What is missing of a choice of cells: 'kdbench status --suite NAME' "
        f"({', '.join(sorted(suite_names()))}), or with --dataset."
    )
