"""The command that looks at installation, machine and folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import DataOption, JsonOption, PathOption, ResultsOption, RunsOption
from benchmark.cli.output import console, print_json
from benchmark.folders import cache_folder


def doctor(
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Remove what dead processes left; move damaged checkpoints and weights aside.",
        ),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read no large files, only their headings.")
    ] = False,
    network: Annotated[
        bool, typer.Option("--network", help="Ask whether the hub answers; else nobody is asked.")
    ] = False,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at installation, machine and folders; say what is wrong, and what to do.

    Nothing is changed without --fix, and records never are. Exit code 0 without a fault, 1 with
    one; notes and warnings are none.
    """
    from benchmark.doctor.examination import examine, mend
    from benchmark.doctor.findings import Surroundings
    from benchmark.reports.terminal.findings import findings_tables
    from benchmark.reports.terminal.live import listener

    aside = listener(console(stderr=True))
    around = Surroundings(
        runs, results, cache_folder(), data, tuple(path or ()), quick, network, aside
    )
    found = examine(around)
    aside.close()
    if fix:
        found = mend(found)
    told = [finding.as_json() for finding in found]
    if as_json:
        print_json({"findings": told, "faults": sum(one.is_fault for one in found)})
    else:
        out = console()
        for table in findings_tables(told):
            out.print(table)
    raise typer.Exit(1 if any(finding.is_fault for finding in found) else 0)
