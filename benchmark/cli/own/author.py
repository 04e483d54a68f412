"""The commands for whoever writes a method: ``kdbench check recipe`` and ``kdbench try``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.options import DataOption, JsonOption, PathOption
from benchmark.cli.output import DEBUG, console, print_json, say
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.recipe.contract import RecipeInfo
    from benchmark.registry import Catalogue

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
    from benchmark.proving.examination import recipes_of

    told: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings(record=True) as warned:  # told once each
        warnings.simplefilter("always")
        for text in recipe:
            recipes, meant = recipes_of(text, tuple(path or ()))
            for info in meant:
                laws = _laws(info, recipes)
                told[info.name] = {"path": info.path, "laws": laws}
                if not as_json:
                    _show(info.name, info.path, laws)
    for warning in dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in warned):
        say(console(stderr=True), f"Warned on the way: {warning}")
    broken = any(_is_faulty(one["laws"]) for one in told.values())
    if as_json:
        print_json(told)
    elif len(told) > 1:
        say(console(), f"{len(told)} recipes; {'some break laws' if broken else 'all keep them'}.")
    raise typer.Exit(1 if broken else 0)


def try_(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE|FILE", help="NAME, 'NAME\\[key=value]', or a file.")
    ],
    dataset: Annotated[str, typer.Option("--dataset", help="To train on.")] = "sketchbirds",
    pair: Annotated[str, typer.Option("--pair", help="teacher:student.")] = "resnet14:resnet8",
    protocol: Annotated[
        str,
        typer.Option("--protocol", help="NAME, or 'NAME\\[key=value,…]'."),
    ] = "quick[validation=0.1]",
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="To measure each recipe's rate for.")
    ] = 3.0,
    data: DataOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a recipe for a minute beside vanilla and kd: laws, shapes, terms, gradients, cost.

    For the first minutes with a method. It is watched on held-out training images, nothing is
    recorded; the teacher is kept in the cache and serves the next time. Exit code 1 if it breaks
    a law or fails.
    """
    from benchmark.cards.brackets import split_brackets
    from benchmark.proving.examination import recipes_of
    from benchmark.proving.trial import Trying
    from benchmark.reports.terminal.author.trial import trial_tables
    from benchmark.reports.terminal.live import listener
    from benchmark.work.place import Site

    cache, aside, out = cache_folder(), listener(console(stderr=True)), console()
    folders, is_file = tuple(path or ()), recipe.endswith(".py")
    recipes, [info, *_] = recipes_of(recipe if is_file else split_brackets(recipe)[0], folders)
    aside.note(f"holding the laws of all recipes on {info.name}")
    laws = _laws(info, recipes)
    if not as_json:
        _show(info.name, info.path, laws, broken_alone=True)
    if is_file:
        recipe, folders = info.name, (*folders, Path(recipe).parent)
    site = Site(runs=cache / "trial", data_dir=data, cache_dir=cache)
    trying = Trying(recipes, folders, site.place(), aside, seconds)
    trial = trying.trial(recipe, dataset=dataset, pair=pair, protocol=protocol).as_json()
    aside.close()
    if as_json:
        print_json({"laws": laws, **trial})
    else:
        for table in trial_tables(trial, debug=DEBUG.get()):
            out.print(table)
    failed = bool(trial["tried"][-1]["error"]) or _is_faulty(laws)
    raise typer.Exit(1 if failed else 0)


Laws = list[dict[str, Any]]


def _laws(info: RecipeInfo, recipes: Catalogue[RecipeInfo]) -> Laws:
    from benchmark.proving.examination import examine
    from benchmark.proving.scene import Stagehand

    return [verdict.as_json() for verdict in examine(info, Stagehand(recipes))]


def _is_faulty(laws: Laws) -> bool:
    return any(law["level"] == "fault" for law in laws)


def _show(name: str, path: str, laws: Laws, *, broken_alone: bool = False) -> None:
    from benchmark.reports.terminal.author.laws import law_table, refusals, sum_of

    out = console()
    say(out, f"{name}  {path}")
    shown = [law for law in laws if law["level"] != "ok" or not broken_alone]
    out.print(law_table(shown, debug=DEBUG.get()))
    for refused in refusals(laws):
        say(out, f"  refused: {refused}")
    say(out, sum_of(laws, path))
