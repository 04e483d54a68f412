"""Official archives of a hub data set under ``--data``, unpacked or not."""

from __future__ import annotations

from pathlib import Path

from benchmark.cards.card import Card, HubSource, LocalCopy
from benchmark.data.found import Found, Surroundings
from benchmark.data.sources.files import found_files, read_layout, shown
from benchmark.data.sources.unpack import unpacked
from benchmark.layouts.catalogue import layout_of
from benchmark.layouts.listing import Places


def open(card: Card, source: HubSource, around: Surroundings) -> Found | None:
    """The first official copy of a data set in the data folder, None if there is none.

    Each may lie in the data folder or in a folder of the data set's name there; the data folder may
    be the copy itself. Unpacked folders are preferred to archives.

    Raises:
        DataError: there is one, but it is damaged or not whole.
    """
    if around.data_dir is None:
        return None
    inside = around.data_dir / source.folder
    bases = [base for base in (inside, around.data_dir) if base.is_dir()]
    for copy in source.local:
        if (places := _places(copy, card, bases, around.cache_dir)) is not None:
            origin = f"official archive {shown(places.roots[0])} (layout '{copy.layout}')"
            return found_files(origin, places, read_layout(copy, places), keep=source.keep)
    return None


def _places(copy: LocalCopy, card: Card, bases: list[Path], cache_dir: Path) -> Places | None:
    layout = layout_of(copy)
    for base in bases:
        if (base / copy.folder).is_dir():
            return Places((base / copy.folder,))
        if layout.is_in(base):
            return Places((base,))
    for base in bases:
        packed = [base / name for name in copy.archives if (base / name).is_file()]
        if packed:
            folders = [unpacked(path, card, cache_dir) for path in packed]
            name = Path(copy.folder).name
            inner = [folder / name for folder in folders if (folder / name).is_dir()]
            # What lies beside archives belongs to them.
            return Places((*inner, *folders, packed[0].parent))
    return None
