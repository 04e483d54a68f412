"""A folder of one's own."""

from __future__ import annotations

from pathlib import Path

from benchmark.cards.card import Card, FolderSource
from benchmark.data.found import Found, Surroundings
from benchmark.data.sources.files import found_files, read_layout, shown
from benchmark.errors import DataError
from benchmark.layouts.listing import Listing, Places


def open(card: Card, source: FolderSource, around: Surroundings) -> Found:
    """The images of a folder, none of them opened.

    Raises:
        DataError: there is no such folder, it is not as its layout says, or it holds other files
            than the card was made for.
    """
    folder = _find(source, around.data_dir)
    places = Places((folder,), _table(source, folder))
    return found_files(f"images in {shown(folder)}", places, _read(source, places, folder))


def _find(source: FolderSource, data_dir: Path | None) -> Path:
    """The folder; the message of a missing one names all places that were looked at."""
    own = Path(source.folder)
    tried = [own] if data_dir is None else [data_dir / own.name, own]
    for folder in tried:
        if folder.is_dir():
            return folder
    raise DataError(
        f"there is no folder {' or '.join(map(str, tried))}. Correct 'folder' in the card's "
        f"source, or give the folder that holds '{own.name}' as --data."
    )


def _table(source: FolderSource, folder: Path) -> Path | None:
    """The table that lists the images, if the folder alone does not tell them."""
    if source.table is None:
        return None
    tried = (Path(source.table), folder / Path(source.table).name)
    for table in tried:
        if table.is_file():
            return table
    raise DataError(
        f"there is no table {' or '.join(map(str, tried))}. Put back the list of the images, which "
        "lies beside the card."
    )


def _read(source: FolderSource, places: Places, folder: Path) -> Listing:
    """List the folder and compare it with the card's fingerprint."""
    listing = read_layout(source, places)
    if source.fingerprint and (found := listing.fingerprint(folder)) != source.fingerprint:
        raise DataError(
            f"the images in {folder} are not those that the card was made for: their fingerprint "
            f"is {found}, the card says {source.fingerprint}. Files were added, taken away, moved "
            "to another class or changed in size. Put them back; or, if that is what you want, "
            f'write fingerprint = "{found}" in the card: runs on them are then others.'
        )
    return listing
