"""Parquet files of a hub data set, in a local folder or fetched."""

from __future__ import annotations

from pathlib import Path

from benchmark.cards.card import Card, HubSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.found import Contents, Found, Surroundings
from benchmark.data.sources.encoded import open_encoded
from benchmark.data.sources.shards import Shards, check_counts, decode, find_shards, read_tables
from benchmark.data.splits import ImageSplit


def open(card: Card, source: HubSource, around: Surroundings) -> Found | None:
    """The files in the data folder, None if it holds none of them.

    Raises:
        DataError: some are there, but not all, or not those of the card.
    """
    shards = find_shards(local_folders(source, around.data_dir), source)
    if shards is None:
        return None
    stamps = ((path.name, *stamp(path)) for path in shards.all_files)
    check_counts(shards, card, source)
    return Found(
        f"parquet files in {shards.folder}",
        tuple(stamps),
        lambda: read_shards(shards, card, source, around),
        decodes=not source.mixed_sizes,
        files=tuple(shards.all_files),
    )


def local_folders(source: HubSource, data_dir: Path | None) -> list[Path]:
    """Where in the data folder the files may lie; some copies keep the repository's subfolder."""
    if data_dir is None:
        return []
    inside = source.inside
    folders = [
        data_dir / source.folder,
        data_dir / source.folder / inside,
        data_dir / inside,
        data_dir,
    ]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def read_shards(shards: Shards, card: Card, source: HubSource, around: Surroundings) -> Contents:
    """The images of the files: still encoded where they differ in size, else decoded.

    Raises:
        DataError: a file is damaged, or holds other images than the card says.
    """
    names = check_counts(shards, card, source)
    if source.mixed_sizes:
        encoded = open_encoded(shards, source)
        return Contents(encoded, names).first(source.keep)
    splits: dict[SplitName, ImageSplit] = {}
    total = sum(card.splits.values())
    with around.listener.progress(f"decoding {card.title}", total) as advance:
        for split in SPLITS:
            images, labels = decode(
                read_tables(shards, split, source),
                source,
                images=card.splits[split],
                edge=card.image_size,
                advance=advance,
            )
            splits[split] = ImageSplit(images, labels)
    return Contents(splits, names)


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change: what tells one version of a file from another."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
