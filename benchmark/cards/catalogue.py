"""Reading data set cards, one by one and whole folders.

Reading cards imports no torch, so that listing them is quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from benchmark.cards.card import Card
from benchmark.cards.source import FolderSource, LayoutNames
from benchmark.errors import CardError
from benchmark.registry import Catalogue
from benchmark.strict import faults, read_toml

HINT = (
    "Data sets are the cards (*.toml) in datasets/ and in folders given by --path; "
    "'kdbench list datasets' shows them."
)


def read_card(path: Path, layouts: LayoutNames | None = None) -> Card:
    """Read and check one card.

    Args:
        path: of its file.
        layouts: knows the layouts that a card may name; None leaves that to whoever opens the
            images.

    Raises:
        CardError: not TOML, an unknown or missing key, or a value that does not fit; names the
            file, the key and what is expected.
    """
    values = read_toml(path, "card", error=CardError)
    protocols = values.get("protocols")
    for name, protocol in protocols.items() if isinstance(protocols, dict) else ():
        if isinstance(protocol, dict):
            protocol["name"] = name
    try:
        card = Card.model_validate(values, context={"layouts": layouts})
    except ValidationError as error:
        raise CardError(f"the card {path} is wrong: {'; '.join(faults(error))}") from None
    if card.name != path.stem:
        raise CardError(f"the card {path} calls itself '{card.name}'; file and name must agree.")
    if not card.protocols:
        raise CardError(f"the card {path} has no protocol.")
    if isinstance(card.source, FolderSource):
        # What is relative is meant from the card, wherever kdbench is called.
        folder = path.parent / Path(card.source.folder).expanduser()
        table = None if card.source.table is None else str(path.parent / card.source.table)
        source = card.source.model_copy(update={"folder": str(folder), "table": table})
        return card.model_copy(update={"source": source})
    return card


def read_cards(folders: Iterable[Path], layouts: LayoutNames | None = None) -> Catalogue[Card]:
    """Read every card of some folders; one that is broken stops no other.

    Args:
        folders: searched in this order, each file once; one that does not exist holds no card.
        layouts: knows the layouts that a card may name; see ``read_card``.

    Raises:
        CardError: two cards have one name; both files are named.
    """
    catalogue = Catalogue[Card]("data set", HINT, error=CardError)
    for path in dict.fromkeys(_card_files(folders)):
        try:
            card = read_card(path, layouts)
        except CardError as error:
            catalogue.broken[path] = str(error)
            continue
        catalogue.add(card.name, card, path)
    return catalogue


def find_card(name: str, folders: Iterable[Path]) -> Card:
    """The card of this name.

    Raises:
        CardError: the card is broken, or two cards have one name.
        UnknownName: there is no such card; the nearest name is suggested.
    """
    return read_cards(folders).get(name)


def _card_files(folders: Iterable[Path]) -> Sequence[Path]:
    return [path.resolve() for folder in folders for path in sorted(folder.glob("*.toml"))]
