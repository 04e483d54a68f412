"""Opening a data set: find where it is, keep what was decoded, compare it with its card.

A local folder is looked at first; the Hugging Face hub is asked only for what is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from benchmark.cards.card import Card, FolderSource, HubSource
from benchmark.cards.drawn import DrawnSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.cards.protocol import Protocol
from benchmark.data.agreement import check
from benchmark.data.found import Found, Surroundings
from benchmark.data.kept.decoded import keep_decoded
from benchmark.data.kept.pixels import keep_pixels
from benchmark.data.pictures import Pictures
from benchmark.data.sources import archive, drawn, folder, hub, official, parquet
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError
from benchmark.events import Listener

_FORMAT = 1
"""Raised when what is kept of a decoded image changes, so that older files are not read."""


def load_data(
    card: Card,
    data_dir: Path | None,
    cache_dir: Path,
    *,
    protocol: Protocol | None = None,
    listener: Listener | None = None,
) -> DataSet:
    """Open a data set to train on: images of different sizes are decoded once and kept.

    Args:
        card: says what to load.
        data_dir: folder that is looked at before anything is fetched (``--data``).
        cache_dir: where decoded images are kept.
        protocol: says with the card what networks see; None stands for one that asks for nothing.
        listener: hears of the progress of decoding, drawing and fetching.

    Raises:
        DataError: the data are missing, damaged, or not what the card says.
    """
    listener = listener or Listener()
    data = open_data(card, data_dir, cache_dir, listener=listener)
    pictures = Pictures.of(card, protocol)
    name = _kept_name(card, cache_dir, pictures.size, data.version)

    def kept(split: SplitName, part: ImageSplit) -> ImageSplit:
        if isinstance(part.images, Tensor):
            return part
        images = keep_pixels(
            part.images,
            image_size=pictures.size,
            folder=name.with_name(f"{name.name}-{split}.images"),
            title=f"{card.title}, {split}",
            listener=listener,
        )
        return ImageSplit(images, part.labels)

    train, test = kept("train", data.train), kept("test", data.test)
    return replace(data, pictures=pictures, train=train, test=test)


def open_data(
    card: Card,
    data_dir: Path | None,
    cache_dir: Path,
    *,
    listener: Listener | None = None,
    thorough: bool = False,
) -> DataSet:
    """Find a data set and check it against its card; images of different sizes stay encoded.

    Args:
        card: says what to open.
        data_dir: folder that is looked at before anything is fetched (``--data``).
        cache_dir: where decoded images of one size are kept.
        listener: hears of the progress of decoding, drawing and fetching.
        thorough: every file is read and compared with what it held at first, also one whose size
            and time of change are the same.

    Raises:
        DataError: the data are missing, damaged, or not what the card says.
    """
    listener = listener or Listener()
    around = Surroundings(data_dir, cache_dir, listener, thorough)
    found = _find(card, around)
    if found.files:
        root = Path(os.path.commonpath([path.parent for path in found.files]))
        around.sums(card, root).compare(found.files)
    if found.decodes:
        name = _kept_name(card, cache_dir, card.image_size, found.version)
        contents = keep_decoded(name.with_suffix(".safetensors"), found.read, listener)
    else:
        contents = found.read()
    check(contents, card, found.origin)
    return DataSet(
        card=card,
        pictures=Pictures.of(card),
        train=contents.splits["train"],
        test=contents.splits["test"],
        class_names=contents.class_names or tuple(str(label) for label in range(card.classes)),
        origin=found.origin,
        version=found.version,
    )


def _find(card: Card, around: Surroundings) -> Found:
    """Where a card's data are: in the data folder, or else at their source."""
    data_dir, source = around.data_dir, card.source
    if data_dir is not None and not data_dir.is_dir():
        fault = "is not a folder" if data_dir.exists() else "does not exist"
        raise DataError(f"the data folder {data_dir} {fault}. Correct --data or KDBENCH_DATA.")
    if isinstance(source, DrawnSource):
        return drawn.open(card, source, around)
    if isinstance(source, FolderSource):
        return folder.open(card, source, around)
    openers: tuple[Callable[[Card, HubSource, Surroundings], Found | None], ...]
    openers = parquet.open, archive.open, official.open
    for open_local in openers:
        if (found := open_local(card, source, around)) is not None:
            return found
    if data_dir is not None and (data_dir / source.folder).is_dir():
        raise DataError(_nothing_there(data_dir / source.folder, source))
    return hub.open(card, source, around)


def _nothing_there(folder: Path, source: HubSource) -> str:
    globs = [Path(glob).name for split in SPLITS for glob in source.patterns(split)]
    wanted = " and ".join(globs)
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    archives = [source.archive] if source.archive else []
    archives += [name for copy in source.local for name in (copy.folder, *copy.archives)]
    names = " or ".join(f"'{name}'" for name in archives)
    archive = f", or the official archive {names}" if archives else ""
    return (
        f"{folder} holds no data set: wanted {wanted}{archive}; found {found}.\n"
        f"Put the files of the hub data set '{source.hub}' there, or take the folder away to "
        "have them fetched."
    )


def _kept_name(card: Card, cache_dir: Path, size: int, version: tuple[object, ...]) -> Path:
    """Where images of a size are kept that belong to this source and version; has no suffix."""
    described = card.source.model_dump(mode="json", exclude={"local"}, exclude_none=True)
    parts = [_FORMAT, described, size, version]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return cache_dir / card.name / digest
