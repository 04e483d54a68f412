"""The data set card: one TOML file that says everything about a data set.

Where the data come from, its classes and splits, how images are augmented, how long one trains
(protocols) and which pairs of networks are usual.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.cards.protocol import Protocol
from benchmark.cards.source import Download, DrawnSource, FolderSource, HubSource, LocalCopy, Source
from benchmark.cards.transforms import (
    ColorJitter,
    HorizontalFlip,
    RandomCrop,
    RandomResizedCrop,
    Transform,
)
from benchmark.errors import CardError, UnknownName, UsageError
from benchmark.strict import Strict, faults

__all__ = [
    "SPLITS",
    "Card",
    "ColorJitter",
    "DrawnSource",
    "FolderSource",
    "HorizontalFlip",
    "HubSource",
    "LocalCopy",
    "Protocol",
    "RandomCrop",
    "RandomResizedCrop",
    "SplitName",
    "Transform",
    "read_card",
    "split_brackets",
]

Triple = tuple[float, float, float]


class Card(Strict):
    """A data set card; those in ``datasets/`` are the examples.

    Attributes:
        classes: number of classes K; labels are 0 … K-1.
        image_size: height and width in pixels that the networks see.
        mean, std: of the training pixels in [0, 1], by channel.
        splits: number of images by split.
        augmentation: of the training images, in order.
        protocols: by name; the first is the default.
        pairs: ``teacher:student``, the usual ones.
        downloads: the official archive, where it can still be had and its checksum is known.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    homepage: str = ""
    licence: str = ""
    citation: str = ""
    classes: Annotated[int, Field(gt=1)]
    image_size: Annotated[int, Field(gt=0)]
    mean: Triple
    std: Triple
    splits: dict[SplitName, Annotated[int, Field(gt=0)]]
    source: Source
    augmentation: tuple[Transform, ...] = ()
    protocols: dict[str, Protocol]
    pairs: tuple[str, ...]
    downloads: tuple[Download, ...] = ()

    @model_validator(mode="after")
    def _both_splits(self) -> Card:
        if set(self.splits) != set(SPLITS):
            raise ValueError("splits must count train and test")
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> Card:
        source = self.source
        if isinstance(source, DrawnSource) and source.families * source.species != self.classes:
            raise ValueError(
                f"{source.families} families of {source.species} species are not "
                f"{self.classes} classes"
            )
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels that the networks see."""
        return self.image_size, self.image_size

    @property
    def revision(self) -> str:
        """What of the data and their preparation changes a result: the data part of an identity.

        The source's own revision, readable, and a digest of the source, the image size, the
        normalisation and the augmentation.
        """
        parts = self.model_dump(
            mode="json",
            include={"source", "classes", "image_size", "mean", "std", "augmentation"},
            # Only where the same data lie.
            exclude={"source": {"folder", "archive", "files", "local"}},
            exclude_none=True,  # what is not set changes nothing, and older records knew it not
        )
        text = json.dumps(parts, sort_keys=True)
        return f"{self.source.revision[:12]}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def default_protocol(self) -> Protocol:
        """The first protocol of the card."""
        return next(iter(self.protocols.values()))

    def for_protocol(self, protocol: Protocol) -> Card:
        """This card with the protocol's image size and with its augmentation after the card's.

        What it says of the data, its ``revision`` above all, is to be asked of the card itself: the
        protocol's part is identified with the protocol.
        """
        if protocol.image_size in (None, self.image_size) and not protocol.augmentation:
            return self
        return self.model_copy(
            update={
                "image_size": protocol.image_size or self.image_size,
                "augmentation": self.augmentation + protocol.augmentation,
            }
        )

    def pairs_of(self, protocol: Protocol) -> tuple[str, ...]:
        """The usual pairs under a protocol."""
        return protocol.pairs or self.pairs

    def protocol(self, text: str | None) -> Protocol:
        """The protocol ``NAME`` or ``NAME[key=value,…]``; None is the default.

        Raises:
            UsageError: unknown protocol or key, or a value that does not fit.
        """
        if text is None:
            return self.default_protocol
        name, overrides = split_brackets(text)
        if name not in self.protocols:
            raise UnknownName(
                "protocol",
                name,
                self.protocols,
                f"The card of '{self.name}' has: {', '.join(self.protocols)}.",
            )
        return self.protocols[name].override(text, overrides)


def split_brackets(text: str) -> tuple[str, dict[str, str]]:
    """Read ``NAME`` or ``NAME[key=value,…]``.

    Raises:
        UsageError: the brackets do not close or an entry is not ``key=value``.
    """
    match = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]*)\])?", text.strip())
    if match is None:
        raise UsageError(f"cannot read '{text}'. Write NAME or NAME[key=value,…].")
    name, inside = match.group(1).strip(), match.group(2) or ""
    settings: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in inside.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"cannot read '{part}' in '{text}'. Write NAME[key=value,…].")
        if key in settings:
            raise UsageError(f"'{key}' is given twice in '{text}'.")
        settings[key] = value
    return name, settings


def read_card(path: Path) -> Card:
    """Read and check one card.

    Raises:
        CardError: not TOML, an unknown or missing key, or a value that does not fit; names the
            file, the key and what is expected.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CardError(f"cannot read the card {path}: {error}") from None
    protocols = values.get("protocols")
    for name, protocol in protocols.items() if isinstance(protocols, dict) else ():
        if isinstance(protocol, dict):
            protocol["name"] = name
    try:
        card = Card.model_validate(values)
    except ValidationError as error:
        raise CardError(f"the card {path} is wrong: {'; '.join(faults(error))}") from None
    if card.name != path.stem:
        raise CardError(f"the card {path} calls itself '{card.name}'; file and name must agree.")
    if not card.protocols:
        raise CardError(f"the card {path} has no protocol.")
    if isinstance(card.source, FolderSource):
        # A relative folder is meant from the card, wherever kdbench is called.
        folder = path.parent / Path(card.source.folder).expanduser()
        source = card.source.model_copy(update={"folder": str(folder)})
        return card.model_copy(update={"source": source})
    return card
