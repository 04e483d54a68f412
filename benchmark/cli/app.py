"""The command line: parse, call, print; nothing else.

Heavy packages are imported inside the commands that need them, so that help and lists answer at
once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

import benchmark
from benchmark import hub
from benchmark.cli import board, deploy, matrix
from benchmark.cli.compare import compare
from benchmark.cli.help.manual import furnish
from benchmark.cli.machine import doctor, speed
from benchmark.cli.output import DEBUG, announced, console, say
from benchmark.cli.own.author import check_app, try_
from benchmark.cli.own.data import data_app
from benchmark.cli.own.new import new_app
from benchmark.cli.runs import runs_app
from benchmark.cli.verify import verify
from benchmark.errors import BenchmarkError

COMMANDS: dict[str, Callable[..., None]] = {
    "run": matrix.run,
    "plan": matrix.plan,
    "status": matrix.status,
    "try": try_,
    "list": board.list_,
    "show": board.show,
    "verify": verify,
    "evaluate": deploy.evaluate,
    "predict": deploy.predict,
    "latency": deploy.latency,
    "export": deploy.export,
    "doctor": doctor,
    "compare": compare,
    "leaderboard": board.leaderboard,
    "pages": board.pages,
    "speed": speed,
}  # in the order of the help text

app = typer.Typer(
    help="Run matrices of knowledge distillation: data sets × pairs × recipes × seeds.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for _name, _command in COMMANDS.items():
    app.command(_name)(announced(_name)(_command))
app.add_typer(new_app, name="new")
app.add_typer(check_app, name="check")
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")
furnish(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kdbench {benchmark.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Make no connection; name whoever would need one.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command; ``main`` reads them itself, wherever they stand."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: one message for every error, exit codes 0, 1, 2; 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    anywhere = {word for word in ("--debug", "--offline") if word in words}
    words = [word for word in words if word not in anywhere]
    if words[:1] == ["help"]:  # as git has it
        words = [*words[1:], "--help"]
    DEBUG.set("--debug" in anywhere)
    if "--offline" in anywhere or hub.offline():
        hub.go_offline()  # before anything is imported that would make connections
    try:
        app(args=words, prog_name="kdbench")
    except BenchmarkError as error:
        if DEBUG.get():
            raise
        say(console(stderr=True), f"Error: {error}")
        sys.exit(2)
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


if __name__ == "__main__":
    main()
