"""Fetching a data set before it is needed, or for a machine without a connection."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from benchmark.cards.card import Card, HubSource
from benchmark.data.sources import hub
from benchmark.data.sources.download import download
from benchmark.errors import UsageError


def fetch(card: Card, to: Path | None, *, archive: bool, console: Console | None) -> Path:
    """Fetch what a card's data are read from.

    Args:
        card: of the data set.
        to: folder that is then given as ``--data``; None keeps the hub's files in the hub's own
            cache, where they are found without it.
        archive: the official archive instead of the hub's files.
        console: shows the progress; None shows nothing.

    Returns:
        The folder with the files.

    Raises:
        UsageError: there is nothing to fetch, or no folder to put it into.
        DataError: it cannot be had.
    """
    source = card.source
    if not isinstance(source, HubSource):
        raise UsageError(f"'{card.name}' is not fetched from anywhere: it is drawn, or your own.")
    folder = to / source.folder if to is not None else None
    if not archive:
        return hub.fetch(source, None, show_progress=console is not None, to=folder)
    if not card.downloads:
        raise UsageError(
            f"the card of '{card.name}' knows no archive that can be fetched. Leave --archive out "
            f"to have the hub's files, or see {card.homepage or 'its authors'}."
        )
    if folder is None:
        raise UsageError("--archive needs a folder for it: add --to DIR.")
    for file in card.downloads:
        download(file.url, folder / file.file, checksum=file.checksum, console=console)
    return folder
