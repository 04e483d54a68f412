"""The data set cards that are to be found, by path.

Reading cards imports no torch, so that listing them is quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.cards.card import Card, read_card
from benchmark.errors import CardError
from benchmark.registry import Catalogue

HINT = (
    "Data sets are the cards (*.toml) in datasets/ and in folders given by --path; "
    "'kdbench list datasets' shows them."
)


def read_cards(folders: Iterable[Path]) -> Catalogue[Card]:
    """Read every card of some folders; one that is broken stops no other.

    Args:
        folders: searched in this order, each file once; one that does not exist holds no card.

    Raises:
        CardError: two cards have one name; both files are named.
    """
    catalogue = Catalogue[Card]("data set", HINT, error=CardError)
    for path in dict.fromkeys(_card_files(folders)):
        try:
            card = read_card(path)
        except CardError as error:
            catalogue.broken[path] = str(error)
            continue
        catalogue.add(card.name, card, path)
    return catalogue


def card_names(folders: Iterable[Path]) -> list[str]:
    """Names of all usable cards in alphabetical order.

    Raises:
        CardError: two cards have one name.
    """
    return list(read_cards(folders))


def find_card(name: str, folders: Iterable[Path]) -> Card:
    """The card of this name.

    Raises:
        CardError: the card is broken, or two cards have one name.
        UnknownName: there is no such card; the nearest name is suggested.
    """
    return read_cards(folders).get(name)


def _card_files(folders: Iterable[Path]) -> Sequence[Path]:
    return [path.resolve() for folder in folders for path in sorted(folder.glob("*.toml"))]
