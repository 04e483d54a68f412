"""The commands that write new files from templates: ``kdbench new recipe`` and ``new dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.output import console, say
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.data.intake.preparing import Wishes

TestOption = Annotated[
    float | None,
    typer.Option(
        "--test",
        metavar="SHARE",
        help="Of every class that is tested on, where there is no split yet; else 0.2.",
    ),
]

new_app = typer.Typer(help="Write a new file from a template.", no_args_is_help=True)


@new_app.command("recipe")
def new_recipe(
    name: Annotated[str, typer.Argument(help="Lower case, words joined by hyphens.")],
    path: Annotated[
        Path, typer.Option("--path", help="Folder to write the file to; made if need be.")
    ] = Path("my_recipes"),
) -> None:
    """Write a recipe that trains as it is, to be changed into your method."""
    from benchmark.templates.recipe import write_recipe

    file = write_recipe(name, path, cache_folder())
    out = console()
    say(out, f"Wrote {file}. Change it, then:")
    say(out, f"  kdbench check recipe {file}")
    say(out, f"  kdbench try {file}")
    say(out, f"  kdbench run --path {path} --recipe vanilla --recipe {name}")


@new_app.command("dataset")
def new_dataset(
    name: Annotated[str, typer.Argument(help="Lower case, words joined by hyphens.")],
    source: Annotated[
        Path,
        typer.Option(
            "--from",
            help="Folder of images (train/CLASS and test/CLASS, or CLASS alone, or an imagefolder "
            "of Hugging Face), or a table of them: CSV or JSON lines, any columns.",
        ),
    ],
    path: Annotated[
        Path, typer.Option("--path", help="Folder to write the card to; made if need be.")
    ] = Path("my_datasets"),
    layout: Annotated[
        str | None, typer.Option("--layout", help="How the images lie; else it is found out.")
    ] = None,
    test: TestOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of the test images.")] = 0,
    path_column: Annotated[
        str | None, typer.Option("--path-column", help="Of a table: the images' files.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option("--label-column", help="Of a table: their classes.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Of a table: train, test, validation.")
    ] = None,
    separator: Annotated[
        str | None, typer.Option("--separator", help="Of a table's columns; else it is found out.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder that a table's paths are meant from; else its own."),
    ] = None,
) -> None:
    """Write the card of images of your own, so that they can be trained on.

    Every image is read. What is broken is named, all of it, and no card is written.
    """
    from benchmark.data.intake.preparing import Wishes

    named = {"path": path_column, "label": label_column, "split": split_column}
    columns = {part: column for part, column in named.items() if column is not None}
    _dataset(name, source, path, Wishes(layout, test, seed, columns, separator, images))


def _dataset(name: str, source: Path, path: Path, wishes: Wishes) -> None:
    """Write the card, and say what was found and what comes next."""
    from benchmark.reports.terminal.listings import data_table
    from benchmark.reports.terminal.live import listener
    from benchmark.templates.dataset import write_dataset

    out, aside = console(), listener(console(stderr=True))
    file, found = write_dataset(name, source, path, wishes, listener=aside)
    images = found.images
    for note in images.notes:
        say(out, f"Note: {note}.")
    out.print(data_table(found.report.as_json()))
    if images.division:
        say(out, f"The split was drawn: {images.division}.")
    table = f" and {file.with_suffix('.csv')}" if images.table is not None else ""
    say(
        out,
        f"Wrote {file}{table}: {len(images.listing.class_names)} classes, "
        f"{found.counts['train']:,} training and {found.counts['test']:,} test images, at least "
        f"{found.fewest} a class. Look at it, then:",
    )
    say(
        out,
        f"  kdbench run --path {path} --dataset {name} --protocol quick --recipe vanilla "
        "--recipe kd",
    )
