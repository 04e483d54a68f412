"""The commands that write new files from templates: ``kdbench new recipe`` and ``new dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.output import console, say
from benchmark.folders import cache_folder

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
        typer.Option("--from", help="Folder of images: train/CLASS and test/CLASS, or a CSV file."),
    ],
    path: Annotated[
        Path, typer.Option("--path", help="Folder to write the card to; made if need be.")
    ] = Path("my_datasets"),
    layout: Annotated[
        str | None, typer.Option("--layout", help="How the images lie; else it is found out.")
    ] = None,
) -> None:
    """Write the card of a folder of images, so that it can be trained on."""
    from benchmark.templates.dataset import write_dataset

    file, found = write_dataset(name, source, path, layout=layout)
    out = console()
    say(
        out,
        f"Wrote {file}: {len(found.class_names)} classes, {found.images['train']:,} training and "
        f"{found.images['test']:,} test images, at least {found.fewest} a class. Look at it, then:",
    )
    say(
        out,
        f"  kdbench run --path {path} --dataset {name} --protocol quick --recipe vanilla "
        "--recipe kd",
    )
