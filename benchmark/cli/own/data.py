"""The commands of ``kdbench data``: look at a data set, fetch it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.help import completion
from benchmark.cli.options import DataOption, JsonOption, PathOption
from benchmark.cli.output import announced, console, print_json, say
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.cards.card import Card

data_app = typer.Typer(help="Look at data sets, and fetch them.", no_args_is_help=True)
NameArgument = Annotated[
    str, typer.Argument(help="Name of a data set.", autocompletion=completion.datasets)
]


@data_app.command()
@announced("data check")
def check(
    name: NameArgument,
    data: DataOption = None,
    path: PathOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Picture to write; NAME.png in this folder if not said."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read every image, also those that are kept: what is broken, uneven, or there twice?

    Counts and compares with the card, names every image that cannot be read, finds identical and
    nearly identical images in train and test, draws a picture. Exit code 1 if a training would
    stumble; warnings alone leave it 0.
    """
    from benchmark.data.kept.pixel_files import check_pixels
    from benchmark.data.look.inspection import inspect
    from benchmark.data.look.inspection import sheet as draw
    from benchmark.data.opening import open_data
    from benchmark.errors import DataError
    from benchmark.reports.terminal.listings import data_table
    from benchmark.reports.terminal.live import listener

    card, aside, out = _card(name, path), listener(console(stderr=True)), console()
    picture = sheet or Path(f"{name}.png")
    _can_be_written(picture)  # before every image is read, not after
    with _all_faults(name, as_json):
        found = open_data(card, data, cache_folder(), listener=aside, thorough=True)
    with aside.progress(f"reading {card.title}", sum(card.splits.values())) as advance:
        report = inspect(found, advance=advance)
    for folder in sorted((cache_folder() / card.name).glob("*.images")):
        with aside.progress(f"reading {folder.name}", 0) as advance:
            for fault in check_pixels(folder, advance=advance):
                aside.note(fault)
    try:
        draw(found).save(picture)
    except OSError as error:
        raise DataError(f"cannot write the picture {picture}: {error}. Choose --sheet.") from None
    if as_json:
        print_json(report.as_json() | {"sheet": str(picture)})
    else:
        out.print(data_table(report.as_json()))
        out.print(f"Picture of the training images: {picture}", highlight=False)
    raise typer.Exit(1 if report.problems else 0)


@data_app.command()
@announced("data fetch")
def fetch(
    name: NameArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder for the files, to be given as --data elsewhere."),
    ] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="The official archive, not the hub's files.")
    ] = False,
    path: PathOption = None,
) -> None:
    """Fetch a data set before it is needed, e.g. where there is a connection.

    A broken download goes on when the command is repeated. Without --to the files go to the hub's
    own cache, where every command finds them.
    """
    from benchmark.data.sources.fetching import fetch as fetch_files
    from benchmark.reports.terminal.live import listener

    aside, out = listener(console(stderr=True)), console()
    where = fetch_files(_card(name, path), to, archive=archive, listener=aside)
    say(out, f"{name}: {where}")
    if to is not None:
        say(out, f"Use it with --data {to}.")


@data_app.command()
def cache(
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Of this data set alone.")
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Delete it; not while a run decodes. It is made again."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List all that is kept: decoded images, teacher outputs, archives; --clear deletes it."""
    from benchmark.data.kept.listing import list_kept
    from benchmark.reports.terminal.listings import cache_table

    found = [kept for kept in list_kept(cache_folder()) if dataset in (None, kept.dataset)]
    entries = [
        {
            "path": str(kept.path),
            "dataset": kept.dataset,
            "kind": kept.kind,
            "bytes": kept.size_bytes,
            "changed": kept.changed,
        }
        for kept in found
    ]
    if clear:
        for kept in found:
            kept.delete()
    if as_json:
        print_json({"deleted": clear, "files": entries})
    else:
        console().print(cache_table(entries, deleted=clear))


def _can_be_written(picture: Path) -> None:
    from PIL import Image

    from benchmark.errors import UsageError

    if picture.suffix.lower() not in Image.registered_extensions() or not picture.parent.is_dir():
        raise UsageError(
            f"cannot write the picture {picture}: name a file that ends in .png, in a folder that "
            "exists."
        )


@contextlib.contextmanager
def _all_faults(name: str, as_json: bool) -> Iterator[None]:
    """Where a message holds the first faults alone, all of them can be had."""
    from benchmark.errors import DataError, ManyFaults

    try:
        yield
    except ManyFaults as error:
        if as_json:
            print_json({"dataset": name, "problems": error.faults})
            raise typer.Exit(1) from None
        if len(error.faults) > error.SHOWN:
            raise DataError(f"{error}\n'kdbench data check {name} --json' names all.") from None
        raise


def _card(name: str, path: list[Path] | None) -> Card:
    from benchmark.layouts.catalogue import known_cards

    return known_cards(path or []).get(name)
