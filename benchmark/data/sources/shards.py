"""Parquet shards in the layout of the Hugging Face hub: finding, checking and decoding them.

``datasets`` reads the same files. It does not miss a shard that is not there; and it would copy all
images into an Arrow file, without a checksum, for which nothing here has a use: those of one size
are decoded and kept, the others found by row (``encoded.py``).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.cards.card import Card, HubSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.decoding import decode_image
from benchmark.errors import DataError

_NUMBERED = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<end>\..*)$")


@dataclass(frozen=True)
class Shards:
    """The parquet files of a data set in one local folder.

    Attributes:
        files: by split, in order of their numbers.
    """

    folder: Path
    files: dict[SplitName, list[Path]]

    @property
    def all_files(self) -> list[Path]:
        """The files of all splits."""
        return [path for split in SPLITS for path in self.files[split]]


def find_shards(folders: Sequence[Path], source: HubSource) -> Shards | None:
    """The shards in the first folder that holds any.

    Raises:
        DataError: a split has none there, or one that its neighbours' names promise is missing.
    """
    for folder in folders:
        found = {
            (split, glob): sorted(folder.glob(Path(glob).name))
            for split in SPLITS
            for glob in source.patterns(split)
        }
        if not any(found.values()):
            continue
        for (split, glob), paths in found.items():
            _check_numbers(folder, split, glob, paths, source)
        files: dict[SplitName, list[Path]] = {split: [] for split in SPLITS}
        for (split, _), paths in found.items():
            files[split] += paths
        return Shards(folder, files)
    return None


def _check_numbers(
    folder: Path, split: SplitName, glob: str, files: list[Path], source: HubSource
) -> None:
    names = [path.name for path in files]
    if not files:
        present = ", ".join(sorted(path.name for path in folder.glob("*.parquet")))
        raise DataError(
            f"{folder} has no file for split '{split}' ({Path(glob).name}); have "
            f"{present}. Copy the missing shards of '{source.hub}' there."
        )
    matches = [match for match in map(_NUMBERED.match, names) if match]
    counts = {match["count"] for match in matches}
    if len(counts) > 1:
        raise DataError(
            f"{folder} mixes two cuts of split '{split}': {', '.join(names)}. Keep one of them."
        )
    if matches:
        promised = {
            f"{matches[0]['stem']}-{number:05d}-of-{matches[0]['count']}{matches[0]['end']}"
            for number in range(int(matches[0]["count"]))
        }
        if missing := sorted(promised - set(names)):
            raise DataError(
                f"split '{split}' in {folder} is not complete: have {', '.join(names)}; "
                f"missing {', '.join(missing)}. Copy the missing shards of '{source.hub}' there."
            )


def check_counts(shards: Shards, card: Card, source: HubSource) -> tuple[str, ...]:
    """Compare columns and numbers of rows with the card before anything is decoded.

    Returns:
        The class names that the files tell, or none.

    Raises:
        DataError: a file is damaged, lacks a column, or a split has another number of images.
    """
    names: tuple[str, ...] = ()
    for split in SPLITS:
        rows = 0
        for path in shards.files[split]:
            with explained(path), pq.ParquetFile(path) as file:
                rows += file.metadata.num_rows
                columns, notes = file.schema_arrow.names, file.schema_arrow.metadata or {}
            for column in (source.image, source.label):
                if column not in columns:
                    raise DataError(
                        f"{path} has no column '{column}'; it has {', '.join(columns)}. Is it "
                        f"another data set than '{source.hub}'?"
                    )
            names = names or _class_names(notes, source.label)
        if rows != card.splits[split] and source.keep is None:
            files = ", ".join(path.name for path in shards.files[split])
            less = rows < card.splits[split]
            raise DataError(
                f"split '{split}' in {shards.folder} has {rows:,} images, the card says "
                f"{card.splits[split]:,}: {'a shard is missing' if less else 'too many shards'}; "
                f"have {files}."
            )
    return names


def read_tables(
    shards: Shards, split: SplitName, source: HubSource
) -> Iterator[tuple[str, pa.Table]]:
    """The shards of a split, each with its file's name.

    Raises:
        DataError: a file is damaged.
    """
    for path in shards.files[split]:
        with explained(path):
            table = pq.read_table(
                path, columns=[source.image, source.label], page_checksum_verification=True
            )
        yield str(path), table


def decode(
    tables: Iterator[tuple[str, pa.Table]],
    source: HubSource,
    *,
    images: int,
    edge: int,
    advance: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """Decode all images of a split.

    Args:
        tables: with the columns of the source, each with the name of where it comes from.
        source: names the columns.
        images: how many there are, N.
        edge: height and width S that all must have, in pixels.
        advance: is told how many more images were decoded.

    Returns:
        Images uint8 (N, S, S, 3) and labels (N,) int64.

    Raises:
        DataError: an image cannot be decoded or has another size, or there are more or fewer.
    """
    pixels = _room(images, edge)
    labels = np.empty(images, dtype=np.int64)
    done = 0
    for origin, table in tables:
        if done + len(table) > images:
            done += len(table)
            break
        labels[done : done + len(table)] = _labels(table[source.label], origin)
        for row, encoded in enumerate(encoded_images(table[source.image], origin)):
            image = decode_image(encoded, f"{origin}, row {row}")
            if image.shape[:2] != (edge, edge):
                height, width = image.shape[:2]
                raise DataError(
                    f"{origin}, row {row}: the image has {width}x{height} pixels, the card says "
                    f"image_size = {edge}. Correct the card, or set mixed_sizes = true in its "
                    "source if images differ in size."
                )
            pixels[done] = image
            done += 1
            if done % 1000 == 0:
                advance(1000)
    advance(done % 1000)
    if done != images:
        raise DataError(f"there are {done:,} images, the card says {images:,}.")
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def _room(images: int, edge: int) -> NDArray[np.uint8]:
    """Memory for the pixels (N, S, S, 3) of all images."""
    try:
        return np.empty((images, edge, edge, 3), dtype=np.uint8)
    except MemoryError:
        raise DataError(
            f"{images:,} decoded images of {edge}x{edge} pixels do not fit into the memory. Set "
            "mixed_sizes = true in the card's source, so that they are read one by one."
        ) from None


def encoded_images(column: pa.ChunkedArray, origin: str) -> Iterator[bytes]:
    """The image files of a column of bytes, or of structs ``{bytes, path}``."""
    for chunk in column.chunks:
        values = chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk
        for value in values:
            encoded = value.as_py()
            if not isinstance(encoded, bytes):
                raise DataError(f"{origin}: there are rows without an image inside the file.")
            yield encoded


def labels_of(path: Path, column: str) -> NDArray[np.int64]:
    """The labels of a file, (N,).

    Raises:
        DataError: the file is damaged, or these are no labels.
    """
    with explained(path):
        table = pq.read_table(path, columns=[column], page_checksum_verification=True)
    return _labels(table[column], str(path))


def _labels(column: pa.ChunkedArray, origin: str) -> NDArray[np.int64]:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise DataError(f"{origin}: the labels must be integers without gaps, not {column.type}.")
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _class_names(notes: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """The names that Hugging Face's ``datasets`` keeps in a file's metadata, or none."""
    try:
        features: dict[str, Any] = json.loads(notes[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn pyarrow's errors about a file into one that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        size = path.stat().st_size if path.exists() else 0
        raise DataError(
            f"{path} ({size:,} bytes) is damaged or cut short: {reason} "
            "Delete it and fetch it again."
        ) from None
