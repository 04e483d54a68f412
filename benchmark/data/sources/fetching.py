"""Fetching a data set before it is needed, or for a machine without a connection."""

from __future__ import annotations

from pathlib import Path

from benchmark.cards.card import Card, HubSource
from benchmark.data.sources import hub
from benchmark.data.sources.download import download
from benchmark.errors import UsageError
from benchmark.events import Listener


def fetch(card: Card, to: Path | None, *, archive: bool, listener: Listener) -> Path:
    """Fetch what a card's data are read from.

    Args:
        card: of the data set.
        to: folder that is then given as ``--data``; None keeps the hub's files in the hub's own
            cache, where they are found without it.
        archive: the official archive instead of the hub's files.
        listener: hears of the progress.

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
        return hub.fetch(source, None, show_progress=listener.shows, to=folder)
    if not card.downloads:
        raise UsageError(
            f"the card of '{card.name}' knows no archive that can be fetched. Leave --archive out "
            f"to have the hub's files, or see {card.homepage or 'its authors'}."
        )
    if folder is None:
        raise UsageError("--archive needs a folder for it: add --to DIR.")
    for file in card.downloads:
        download(file.url, folder / file.file, checksum=file.checksum, listener=listener)
    return folder
