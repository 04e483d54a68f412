"""The command line: parse, call, print; nothing else.

Heavy packages are imported inside the commands that need them, so that help and lists answer at
once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import benchmark
from benchmark.cli.data import data_app
from benchmark.cli.new import new_app
from benchmark.cli.options import (
    DataOption,
    DatasetOption,
    FormatOption,
    JsonOption,
    Kind,
    PairOption,
    PathOption,
    Precision,
    PrecisionOption,
    ProtocolOption,
    RecipeOption,
    ResultsOption,
    RetryOption,
    RunsOption,
    SeedsOption,
    SuiteOption,
    TeacherOption,
    cache_folder,
)
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.matrix.request import Request

app = typer.Typer(
    help="Run matrices of knowledge distillation: data sets × pairs × recipes × seeds.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(new_app, name="new")
app.add_typer(data_app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kdbench {benchmark.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command; ``main`` reads --debug itself."""


@app.command()
def run(
    suite: SuiteOption = None,
    dataset: DatasetOption = None,
    pair: PairOption = None,
    recipe: RecipeOption = None,
    seeds: SeedsOption = None,
    protocol: ProtocolOption = None,
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    retry: RetryOption = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0, help="Stop at a checkpoint when this time is up."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, train nothing.")
    ] = False,
    precision: PrecisionOption = Precision.fp32,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train every run that the chosen cells need, record it, and show the table.

    What is recorded is not trained again, what was interrupted goes on: repeat the command.
    """
    if dry_run:
        plan(suite, dataset, pair, recipe, seeds, protocol, runs, results, teacher_checkpoint,
             retry, path, as_json)  # fmt: skip
        return
    from benchmark.launch.session import Session
    from benchmark.reports.board.aggregate import aggregate
    from benchmark.reports.terminal.live import listener
    from benchmark.reports.terminal.results import result_table

    console = _console(stderr=as_json)
    request = _request(suite, dataset, pair, recipe, seeds, protocol, teacher_checkpoint, path)
    session = Session(request, runs=runs, results=results, retry=retry is not None)
    try:
        summary = session.run(
            data_dir=data,
            cache_dir=cache_folder(),
            precision=precision.value,
            minutes=minutes,
            listener=listener(console),
        )
    except KeyboardInterrupt:
        console.print("Interrupted. The same command continues from the last checkpoint.")
        raise typer.Exit(130) from None
    if not summary.is_main_process:
        raise typer.Exit(0)  # the main process speaks; a launcher would end it if this one failed
    if as_json:
        typer.echo(json.dumps(summary.as_json(), indent=2))
    else:
        for table in result_table(aggregate(session.records())):
            console.print(table)
        for line in summary.lines():
            console.print(line, markup=False, highlight=False)
    raise typer.Exit(summary.exit_code)


@app.command()
def plan(
    suite: SuiteOption = None,
    dataset: DatasetOption = None,
    pair: PairOption = None,
    recipe: RecipeOption = None,
    seeds: SeedsOption = None,
    protocol: ProtocolOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    retry: RetryOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do: runs, groups, what is done already."""
    from benchmark.launch.session import Session
    from benchmark.reports.terminal.listings import plan_table

    request = _request(suite, dataset, pair, recipe, seeds, protocol, teacher_checkpoint, path)
    session = Session(request, runs=runs, results=results, retry=retry is not None)
    overview = session.overview()
    if as_json:
        typer.echo(json.dumps(overview, indent=2))
        return
    console = _console()
    for table in plan_table(overview):
        console.print(table)


@app.command()
def status(
    suite: SuiteOption = None,
    dataset: DatasetOption = None,
    pair: PairOption = None,
    recipe: RecipeOption = None,
    seeds: SeedsOption = None,
    protocol: ProtocolOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how much of a suite is done, failed, stale or missing."""
    from benchmark.launch.session import Session
    from benchmark.reports.terminal.results import coverage_table

    request = _request(suite, dataset, pair, recipe, seeds, protocol, teacher_checkpoint, path)
    coverage = Session(request, runs=runs, results=results, retry=False).coverage()
    if as_json:
        typer.echo(json.dumps(coverage, indent=2))
    else:
        _console().print(coverage_table(coverage))


@app.command("list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """List recipes, data sets, networks or suites."""
    from benchmark.catalogues import describe
    from benchmark.reports.terminal.listings import listing_table

    entries = describe(kind.value, path or [], cache_folder())
    if as_json:
        typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        _console().print(listing_table(kind.value, entries))


@app.command()
def show(
    cell: Annotated[
        str, typer.Argument(help="e.g. cifar100/resnet20__resnet8/kd/seed0, or a record's file.")
    ],
    results: ResultsOption = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Show one record for a person."""
    from benchmark.records.store import Store
    from benchmark.reports.terminal.results import record_view

    record = Store(results).lookup(cell)
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        _console().print(record_view(record))


@app.command()
def leaderboard(
    results: ResultsOption = Path("results"),
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write; - is the standard output.")
    ] = None,
    format_: FormatOption = "md",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the file is not up to date.")
    ] = False,
    path: PathOption = None,
) -> None:
    """Write the leaderboard from the records and from published numbers in their reported/."""
    from benchmark.catalogues import current
    from benchmark.reports import leaderboard as board
    from benchmark.reports.formats import load_formats

    form = load_formats(path or []).get(format_)
    target = output or Path(form.output)
    text, problems = board.compose(results, form, current(path or [], cache_folder()))
    console = _console(stderr=True)
    for problem in problems:
        console.print(f"Left out: {problem}", markup=False, highlight=False, soft_wrap=True)
    if check and str(target) == "-":
        raise UsageError("--check compares with a file: name it with --output.")
    if check:
        difference = board.difference(text, target)
        console.print(
            difference or f"{target} is what the records give.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(1 if difference or problems else 0)
    if str(target) == "-":
        typer.echo(text, nl=False)
    else:
        board.save(text, target)
        console.print(f"Wrote {target}.", highlight=False)
    raise typer.Exit(1 if problems else 0)


@app.command()
def pages(
    output: Annotated[
        Path, typer.Option("--output", help="File to write; - is the standard output.")
    ] = Path("recipes.md"),
    path: PathOption = None,
) -> None:
    """Write a page of the recipes: equations, papers, settings. With --path, of those there."""
    from benchmark.catalogues import recipe_page
    from benchmark.reports.leaderboard import save

    text, broken = recipe_page(path or [], cache_folder(), output.parent)
    console = _console(stderr=True)
    for problem in broken:
        console.print(f"Left out: {problem}", markup=False, highlight=False, soft_wrap=True)
    if str(output) == "-":
        typer.echo(text, nl=False)
    else:
        save(text, output)
        console.print(f"Wrote {output}.", highlight=False)
    raise typer.Exit(1 if broken else 0)


@app.command()
def speed(
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Whose images; else the suite 'quick'.")
    ] = None,
    pair: Annotated[str | None, typer.Option("--pair", help="teacher:student.")] = None,
    recipe: RecipeOption = None,
    protocol: ProtocolOption = None,
    data: DataOption = None,
    precision: PrecisionOption = Precision.fp32,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Time spent on each figure.")
    ] = 10.0,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure images/s of the loader, the teacher, every recipe and the group."""
    from benchmark.reports.terminal.listings import speed_table
    from benchmark.work.speed import measure

    figures = measure(
        _request(None, [dataset] if dataset else None, [pair] if pair else None, recipe, "1",
                 protocol, None, path),
        data_dir=data,
        cache_dir=cache_folder(),
        precision=precision.value,
        seconds=seconds,
        console=_console(stderr=True),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
    else:
        _console().print(speed_table(figures))


def _request(
    suite: str | None,
    dataset: list[str] | None,
    pair: list[str] | None,
    recipe: list[str] | None,
    seeds: str | None,
    protocol: str | None,
    teacher_checkpoint: list[str] | None,
    path: list[Path] | None,
) -> Request:
    from benchmark.matrix.request import Request

    return Request(
        suite=suite,
        datasets=dataset or (),
        pairs=pair or (),
        recipes=recipe or (),
        seeds=seeds,
        protocol=protocol,
        teachers=teacher_checkpoint or (),
        paths=path or (),
    )


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: one message for every error, exit codes 0, 1, 2; 130 for Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=words, prog_name="kdbench")
    except BenchmarkError as error:
        if "--debug" in words:
            raise
        _console(stderr=True).print(
            f"Error: {error}", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(2)
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


if __name__ == "__main__":
    main()
