"""The commands on this machine: what is wrong with it, and how fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.help import completion
from benchmark.cli.options import (
    DataOption,
    JsonOption,
    PathOption,
    Precision,
    PrecisionOption,
    ProtocolOption,
    RecipeOption,
    ResultsOption,
    RunsOption,
)
from benchmark.cli.output import console, print_json, say
from benchmark.folders import cache_folder

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Whose images; else the suite 'quick'.",
        autocompletion=completion.datasets,
    ),
]
PairOption = Annotated[str | None, typer.Option("--pair", help="teacher:student.")]
SecondsOption = Annotated[
    float, typer.Option("--seconds", min=0.1, help="Time for each rate, in all rounds together.")
]
CompileOption = Annotated[
    bool, typer.Option("--compile/--no-compile", help="Measure compiled steps.")
]
SaveOption = Annotated[
    bool, typer.Option("--save", help="Keep it in speed/ of the results, for the leaderboard.")
]


def speed(
    dataset: DatasetOption = None,
    pair: PairOption = None,
    recipe: RecipeOption = None,
    protocol: ProtocolOption = None,
    data: DataOption = None,
    precision: PrecisionOption = Precision.fp32,
    seconds: SecondsOption = 10.0,
    compiled: CompileOption = False,
    path: PathOption = None,
    save: SaveOption = False,
    results: ResultsOption = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Measure images/s of loader, teacher, every recipe and the group, and what bounds them.

    All are measured in turn, in rounds, when their rates have settled: the median, the lowest and
    the highest. With the parts of a step, what arithmetic and memory allow, and what it costs the
    host. Let the machine do nothing else meanwhile.
    """
    from benchmark.matrix.request import Request
    from benchmark.records.speed import save_speed
    from benchmark.reports.terminal.live import listener
    from benchmark.reports.terminal.speed import speed_table
    from benchmark.work.speed import measure

    aside = console(stderr=True)
    request = Request(
        datasets=[dataset] if dataset else (),
        pairs=[pair] if pair else (),
        recipes=recipe or (),
        seeds="1",
        protocol=protocol,
        paths=path or (),
    )
    measured = measure(
        request,
        data_dir=data,
        cache_dir=cache_folder(),
        precision=precision.value,
        seconds=seconds,
        compiled=compiled,
        listener=listener(aside),
    )
    if as_json:
        print_json(measured.as_json())
    else:
        console().print(speed_table(measured))
    if save:
        say(aside, f"Wrote {save_speed(measured, results)}. 'kdbench leaderboard' shows it.")


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
