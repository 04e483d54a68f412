"""The options that several commands have, and the words that they take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.help import completion


class Retry(StrEnum):
    """What is trained again although it is recorded; the words of ``matrix.states.Retry``."""

    failed = "failed"
    diverged = "diverged"
    oom = "oom"
    timeout = "timeout"
    changed = "changed"
    damaged = "damaged"
    all = "all"


class Precision(StrEnum):
    """Arithmetic of the training; evaluation is always float32."""

    fp32 = "fp32"
    bf16 = "bf16"
    auto = "auto"


class Page(StrEnum):
    """What a page can be made of."""

    recipes = "recipes"
    commands = "commands"


class Kind(StrEnum):
    """What can be listed."""

    recipes = "recipes"
    datasets = "datasets"
    networks = "networks"
    suites = "suites"


CellArgument = Annotated[
    str,
    typer.Argument(
        help="e.g. sketchbirds/resnet14__resnet8/kd/seed0, or a record's file.",
        autocompletion=completion.cells,
    ),
]
RecipeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="NAME, 'NAME\\[key=value,…]', 'NAME\\[key=1|2|4]' for each of the values, or '*' for "
        "every method; repeatable.",
        autocompletion=completion.recipes,
    ),
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="NAME or 'NAME\\[epochs=…]'; else the data set's first.",
        autocompletion=completion.protocols,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="KDBENCH_DATA", help="Folder looked at before any download."),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of checkpoints and weights.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the records.")]
PathOption = Annotated[
    list[Path] | None,
    typer.Option("--path", help="Folder with more recipes and data set cards; repeatable."),
]
RetryOption = Annotated[
    list[Retry] | None,
    typer.Option(
        "--retry",
        help="Train again what has no result (failed, or only diverged, oom, timeout), what came "
        "from another source of its recipe (changed), or cannot be read (damaged); repeatable.",
    ),
]
OwnOption = Annotated[
    bool,
    typer.Option(
        "--own",
        help="Train here what came recorded with a clone: records that git has and whose weights "
        "are not in --runs.",
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="md|csv|latex|json|NAME",
        help="How to write it; NAME is a file in formats/ of a --path folder. csv and latex are "
        "without published numbers.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Of the training; auto: bf16 if the device computes in it."),
]
