"""The layouts that are to be found: those of this folder, and those in folders of one's own.

Every Python file in the ``layouts/`` subfolder of a folder given by ``--path`` or ``KDBENCH_PATH``
registers the one layout that it calls ``LAYOUT``.
"""

from __future__ import annotations

import functools
import importlib
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from benchmark.cards.card import Card
from benchmark.cards.catalogue import read_cards
from benchmark.cards.source import InLayout
from benchmark.errors import CardError, first_line, suggestion
from benchmark.folders import search_folders, subfolders
from benchmark.layouts.listing import Layout
from benchmark.registry import Catalogue

HINT = "See docs/add-a-data-set.md for all of them."
BROKEN = "the layout '{name}' cannot be used: {path}: {error}"


class LayoutCatalogue(Catalogue[Layout]):
    """The layouts that were found; cards are checked by it.

    Attributes:
        files: the files of those that are not built in, by name.
    """

    def __init__(self) -> None:
        """Hold the built-in layouts."""
        super().__init__("layout", HINT, error=CardError, broken=BROKEN)
        self.files: dict[str, Path] = {}
        for path, layout in _built_in():
            self.add(layout.name, layout, path)

    def file_of(self, layout: str) -> Path | None:
        """The file of a layout of one's own, None for a built-in one.

        Raises:
            UnknownName: there is no such layout.
            CardError: its file is broken.
        """
        self.get(layout)
        return self.files.get(layout)

    def check_options(self, layout: str, options: Mapping[str, str]) -> None:
        """Refuse options that a layout does not have.

        Raises:
            ValueError: an unknown option, or a value that it does not take.
        """
        known = self.get(layout).options
        for name, value in options.items():
            if name not in known:
                raise ValueError(
                    f"the layout '{layout}' has no option '{name}'.{suggestion(name, known)}"
                )
            if len(known[name]) > 1 and value not in known[name]:
                raise ValueError(
                    f"the option {name} of the layout '{layout}' is one of "
                    f"{', '.join(known[name])}, not '{value}'."
                )


def read_layouts(extra_paths: Iterable[str | Path] = ()) -> LayoutCatalogue:
    """Import every layout; a file that is broken stops no other.

    Args:
        extra_paths: folders given by ``--path``.

    Raises:
        CardError: two layouts have one name; both files are named.
        UsageError: a given folder does not exist.
    """
    catalogue = LayoutCatalogue()
    for folder in subfolders("layouts", extra_paths):
        for path in sorted(folder.glob("[!._]*.py")):
            try:
                layout = _layout_in(path)
            except CardError as error:
                catalogue.broken[path] = str(error)
                continue
            catalogue.add(layout.name, layout, path)
            catalogue.files[layout.name] = path
    return catalogue


def layout_of(source: InLayout) -> Layout:
    """The layout that a part of a card names, where it was when the card was read.

    Raises:
        UnknownName: there is none of this name.
        CardError: the file that it was in has no layout any more.
    """
    if source.layout_file is not None:
        return _layout_in(source.layout_file)
    return LayoutCatalogue().get(source.layout)


def known_cards(extra_paths: Iterable[str | Path] = ()) -> Catalogue[Card]:
    """All cards that are to be found, checked against all layouts that are to be found.

    Args:
        extra_paths: folders given by ``--path``.

    Returns:
        The cards. Files that are broken are noted, those of layouts among them.

    Raises:
        CardError: two cards or two layouts have one name.
        UsageError: a given folder does not exist.
    """
    paths = list(extra_paths)
    layouts = read_layouts(paths)
    cards = read_cards(search_folders("datasets", paths), layouts)
    cards.broken.update(layouts.broken)
    return cards


@functools.cache
def _built_in() -> tuple[tuple[Path, Layout], ...]:
    """The layouts of this folder, each with its file."""
    found = []
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        if path.name != Path(__file__).name:
            module = importlib.import_module(f"{__package__}.{path.stem}")
            if isinstance(layout := getattr(module, "LAYOUT", None), Layout):
                found.append((path, layout))
    return tuple(found)


def _layout_in(path: Path) -> Layout:
    """The layout that a file registers; the file is imported once a process.

    Raises:
        CardError: it registers none.
    """
    try:
        layout = getattr(_module(path), "LAYOUT", None)
    except (Exception, SystemExit) as error:  # a file of somebody's own fails in any way
        raise CardError(f"{type(error).__name__}: {first_line(error)}") from None
    if not isinstance(layout, Layout):
        raise CardError("it registers no layout: write LAYOUT = Layout(…) in it.")
    return layout


def _module(path: Path) -> ModuleType:
    """A file as a module of a package that stands for its folder; files may import each other."""
    package = f"kdbench_layouts_{zlib.crc32(str(path.parent).encode()):08x}"
    if package not in sys.modules:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(path.parent)]
    importlib.invalidate_caches()  # the folder may have been read before the file was written
    return importlib.import_module(f"{package}.{path.stem}")
