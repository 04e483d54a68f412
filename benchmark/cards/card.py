"""The data set card: one TOML file that says everything about a data set.

Where the data come from, its classes and splits, how images are augmented, how long one trains
(protocols) and which pairs of networks are usual.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from pydantic import Field, model_validator

from benchmark.cards.brackets import split_brackets
from benchmark.cards.drawn import DrawnSource
from benchmark.cards.fields import (
    MOST_CLASSES,
    SPLITS,
    ImageSize,
    Pairs,
    SplitName,
    Triple,
)
from benchmark.cards.protocol import Protocol
from benchmark.cards.source import Download, FolderSource, HubSource, LocalCopy, Source
from benchmark.cards.transforms import (
    ColorJitter,
    HorizontalFlip,
    RandomCrop,
    RandomResizedCrop,
    Transform,
    Transforms,
)
from benchmark.errors import UnknownName
from benchmark.strict import Line, Strict

_MOST_IMAGES = 1_000_000_000
_MOST_DRAWN_BYTES = 16 << 30  # pixels that a program draws into the memory
_PROTOCOL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

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
]


Deviation = Annotated[float, Field(gt=0)]


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

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    title: Line
    homepage: Line = ""
    licence: Line = ""
    citation: Line = ""
    classes: Annotated[int, Field(gt=1, le=MOST_CLASSES)]
    image_size: ImageSize
    mean: Triple
    std: tuple[Deviation, Deviation, Deviation]
    splits: dict[SplitName, Annotated[int, Field(gt=0, le=_MOST_IMAGES)]]
    source: Source
    augmentation: Transforms = ()
    protocols: Annotated[
        dict[Annotated[str, Field(pattern=_PROTOCOL_NAME, max_length=64)], Protocol],
        Field(max_length=100),
    ]
    pairs: Pairs
    downloads: Annotated[tuple[Download, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _both_splits(self) -> Card:
        if set(self.splits) != set(SPLITS):
            raise ValueError("splits must count train and test")
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> Card:
        if isinstance(self.source, DrawnSource):
            self.source.check_classes(self.classes)
            per_class = self.source.train_per_class + self.source.test_per_class
            if self.classes * per_class * 3 * self.image_size**2 > _MOST_DRAWN_BYTES:
                raise ValueError(
                    f"{self.classes * per_class:,} drawn images of this size are more than "
                    f"{_MOST_DRAWN_BYTES >> 30} GB"
                )
        return self

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
            exclude={"source": {"folder", "table", "archive", "files", "local"}},
            exclude_none=True,  # what is not set changes nothing, and older records knew it not
        )
        text = json.dumps(parts, sort_keys=True)
        return f"{self.source.revision[:12]}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def default_protocol(self) -> Protocol:
        """The first protocol of the card."""
        return next(iter(self.protocols.values()))

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
