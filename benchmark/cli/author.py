"""The commands for whoever writes a method: ``kdbench check recipe`` and ``kdbench try``."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import typer

from benchmark.cli.options import JsonOption, PathOption
from benchmark.cli.output import DEBUG, console, print_json, say

check_app = typer.Typer(help="Hold a file against its contract.", no_args_is_help=True)


@check_app.command("recipe")
def check_recipe(
    recipe: Annotated[
        list[str], typer.Argument(metavar="FILE|NAME", help="A file of recipes, or a known name.")
    ],
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the laws of all recipes on some: loss terms, gradients, state, predictions.

    On real networks of equal and of unequal widths, maps and depths, with a handful of images;
    nothing is trained. Exit code 0 if all laws are kept, 1 if one is not; with --debug, the
    tracebacks of what was raised.
    """
    from benchmark.proving.examination import examine, recipes_of
    from benchmark.proving.scene import Stagehand

    told: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings(record=True) as warned:  # told once each
        warnings.simplefilter("always")
        for text in recipe:
            recipes, meant = recipes_of(text, tuple(path or ()))
            hand = Stagehand(recipes)
            for info in meant:
                laws = [verdict.as_json() for verdict in examine(info, hand)]
                told[info.name] = {"path": info.path, "laws": laws}
                if not as_json:
                    _show(info.name, info.path, laws)
    for warning in dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in warned):
        say(console(stderr=True), f"Warned on the way: {warning}")
    broken = any(law["level"] == "fault" for one in told.values() for law in one["laws"])
    if as_json:
        print_json(told)
    elif len(told) > 1:
        say(console(), f"{len(told)} recipes; {'some break laws' if broken else 'all keep them'}.")
    raise typer.Exit(1 if broken else 0)


def _show(name: str, path: str, laws: list[dict[str, Any]]) -> None:
    from benchmark.reports.terminal.laws import law_table, refusals, sum_of

    out = console()
    say(out, f"{name}  {path}")
    out.print(law_table(laws, debug=DEBUG.get()))
    for refused in refusals(laws):
        say(out, f"  refused: {refused}")
    say(out, sum_of(laws, path))
