"""Official archives under ``--data`` and folders of one's own: finding and listing them."""

from __future__ import annotations

from pathlib import Path

from benchmark.cards.card import FolderSource, HubSource, LocalCopy
from benchmark.data.sources.unpack import unpacked
from benchmark.errors import DataError
from benchmark.layouts import LAYOUTS, Layout, Listing, Places


def find_local(
    source: HubSource, data_dir: Path | None, cache_dir: Path
) -> tuple[Listing, str] | None:
    """The first official copy of a hub data set in the data folder.

    Each may lie in the data folder or in a folder of the data set's name there; the data folder may
    be the copy itself. Unpacked folders are preferred to archives.

    Returns:
        The list of its files, and what it is, for a person; None if there is none.

    Raises:
        DataError: there is one, but it is damaged or not whole.
    """
    if data_dir is None:
        return None
    bases = [base for base in (data_dir / source.folder, data_dir) if base.is_dir()]
    for copy in source.local:
        if (places := _places(copy, bases, cache_dir)) is not None:
            origin = f"{places} (layout '{copy.layout}')"
            return read_layout(LAYOUTS.get(copy.layout), places, copy.options), origin
    return None


def find_folder(source: FolderSource, data_dir: Path | None) -> Path:
    """The folder of a card of one's own.

    Raises:
        DataError: there is none; names all places that were looked at.
    """
    own = Path(source.folder)
    tried = [own] if data_dir is None else [data_dir / own.name, own]
    for folder in tried:
        if folder.is_dir():
            return folder
    raise DataError(
        f"there is no folder {' or '.join(map(str, tried))}. Correct 'folder' in the card's "
        f"source, or give the folder that holds '{own.name}' as --data."
    )


def read_folder(source: FolderSource, folder: Path) -> Listing:
    """List a folder of one's own and compare it with the card's fingerprint.

    Raises:
        DataError: it is not as its layout says, or holds other files than the card was made for.
    """
    listing = read_layout(LAYOUTS.get(source.layout), Places((folder,)), source.options)
    if source.fingerprint and (found := listing.fingerprint(folder)) != source.fingerprint:
        raise DataError(
            f"the images in {folder} are not those that the card was made for: their fingerprint "
            f"is {found}, the card says {source.fingerprint}. Files were added, taken away, moved "
            "to another class or changed in size. Put them back; or, if that is what you want, "
            f'write fingerprint = "{found}" in the card: runs on them are then others.'
        )
    return listing


def read_layout(layout: Layout, places: Places, options: dict[str, str]) -> Listing:
    """List a folder's images, all of which are there.

    Raises:
        DataError: the folder is not as the layout says, or files are missing.
    """
    listing = layout.read(places, options)
    listing.check_files(str(places))
    return listing


def _places(copy: LocalCopy, bases: list[Path], cache_dir: Path) -> Places | None:
    layout = LAYOUTS.get(copy.layout)
    for base in bases:
        if (base / copy.folder).is_dir():
            return Places((base / copy.folder,))
        if layout.is_in(base):
            return Places((base,))
    for base in bases:
        packed = [base / name for name in copy.archives if (base / name).is_file()]
        if packed:
            folders = [unpacked(path, cache_dir) for path in packed]
            name = Path(copy.folder).name
            inner = [folder / name for folder in folders if (folder / name).is_dir()]
            # What lies beside archives belongs to them.
            return Places((*inner, *folders, packed[0].parent))
    return None
