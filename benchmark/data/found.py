"""What a source is given, and what it gives: images that nothing was compared with yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmark.cards.card import Card
from benchmark.cards.fields import SplitName
from benchmark.data.splits import ImageSplit
from benchmark.data.sums import Sums
from benchmark.events import Listener


@dataclass(frozen=True)
class Surroundings:
    """Where a source may look, and whom it tells.

    Attributes:
        data_dir: folder that is looked at before anything is fetched (``--data``).
        cache_dir: where what was unpacked, decoded or drawn is kept.
        listener: hears of the progress of what takes long.
        thorough: files of the user's are read and compared, also those that seem unchanged.
    """

    data_dir: Path | None
    cache_dir: Path
    listener: Listener = field(default_factory=Listener)
    thorough: bool = False

    def sums(self, card: Card, root: Path) -> Sums:
        """What the files of a card in a folder held when they were first read."""
        parts = json.dumps([card.source.revision, str(root.resolve())])
        digest = hashlib.sha256(parts.encode()).hexdigest()[:16]
        path = self.cache_dir / card.name / f"{digest}.sums"
        return Sums(path, self.listener, self.thorough)


@dataclass(frozen=True)
class Contents:
    """The images of a source.

    Attributes:
        splits: by name.
        class_names: by label; empty if the source tells none.
    """

    splits: Mapping[SplitName, ImageSplit]
    class_names: tuple[str, ...] = ()

    def first(self, classes: int | None) -> Contents:
        """The part with the labels below a number, in the order of the whole; None keeps all."""
        if classes is None:
            return self
        kept = {
            split: part.select(torch.where(part.labels < classes)[0])
            for split, part in self.splits.items()
        }
        return Contents(kept, self.class_names[:classes])


@dataclass(frozen=True)
class Found:
    """A data set that a source has, not yet compared with its card.

    Reading is a step of its own, because it may take long (fetch, decode, draw), and is left out
    where what it gives is kept from an earlier time.

    Attributes:
        origin: for a person: where the data come from.
        version: tells one version of the files from another, for what is kept of their images;
            made of what JSON can say.
        read: gives the images.
        decodes: whether reading decodes or draws every image, so that its result is worth keeping;
            otherwise images are decoded when they are asked for.
        files: on the disk that the contents are read from, if they are known.
    """

    origin: str
    version: tuple[object, ...]
    read: Callable[[], Contents]
    decodes: bool = False
    files: tuple[Path, ...] = ()
