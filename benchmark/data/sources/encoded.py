"""Images of different sizes in parquet files: found by row, decoded when they are read.

Nothing is copied: what training reads is decoded once and kept with checksums, and a second copy of
the encoded images would be one more that can be damaged. pyarrow reads a group of rows at once, so
the last groups stay at hand; who asks in order reads each once.
"""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from benchmark.cards.card import HubSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.decoding import ImageFile, decode_image
from benchmark.data.sources.shards import Shards, encoded_images, explained, labels_of
from benchmark.data.splits import ImageSplit

_GROUPS_AT_HAND = 2  # threads that decode in order are in one group or the next


@dataclass(frozen=True)
class _Group:
    """A group of rows of a file.

    Attributes:
        number: in its file.
        row: of the file that is its first.
        start: its first row among those of all files.
    """

    path: Path
    number: int
    row: int
    start: int


class ParquetImages:
    """A column of image files in parquet files.

    Args:
        files: in their order.
        column: holds the images.

    Raises:
        DataError: a file is damaged.
    """

    def __init__(self, files: Sequence[Path], column: str) -> None:
        self._column, self._groups = column, list[_Group]()
        rows = 0
        for path in files:
            first = rows
            with explained(path), pq.ParquetFile(path) as file:
                for number in range(file.metadata.num_row_groups):
                    self._groups.append(_Group(path, number, rows - first, rows))
                    rows += file.metadata.row_group(number).num_rows
        self._starts = [group.start for group in self._groups]
        self._rows: NDArray[np.int64] = np.arange(rows)
        self._forget()

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._rows)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """One image (H, W, 3).

        Raises:
            DataError: its file is damaged, or it cannot be decoded.
        """
        file = self.file(position)
        return decode_image(file.content, file.place)

    def file(self, position: int) -> ImageFile:
        """One image, not decoded.

        Raises:
            DataError: its file is damaged.
        """
        row = int(self._rows[position])
        group = self._groups[bisect.bisect_right(self._starts, row) - 1]
        inside = row - group.start
        return ImageFile(self._read(group)[inside], f"{group.path}, row {group.row + inside}")

    def select(self, positions: Sequence[int]) -> ParquetImages:
        """Some of the images, in the given order."""
        chosen = object.__new__(ParquetImages)
        chosen.__dict__ |= self.__dict__
        chosen._rows = self._rows[np.asarray(positions, dtype=np.int64)]
        chosen._forget()
        return chosen

    def _read(self, group: _Group) -> list[bytes]:
        """The encoded images of a group."""
        with self._lock:
            if group not in self._at_hand:
                with (
                    explained(group.path),
                    pq.ParquetFile(group.path, page_checksum_verification=True) as file,
                ):
                    table: pa.Table = file.read_row_group(group.number, columns=[self._column])
                self._at_hand[group] = list(encoded_images(table[self._column], str(group.path)))
                while len(self._at_hand) > _GROUPS_AT_HAND:
                    self._at_hand.popitem(last=False)
            self._at_hand.move_to_end(group)
            return self._at_hand[group]

    def _forget(self) -> None:
        self._lock, self._at_hand = threading.Lock(), OrderedDict[_Group, list[bytes]]()

    def __getstate__(self) -> dict[str, Any]:
        # Neither locks nor images travel to another process.
        kept = ("_column", "_groups", "_starts", "_rows")
        return {name: value for name, value in self.__dict__.items() if name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._forget()


def open_encoded(shards: Shards, source: HubSource) -> dict[SplitName, ImageSplit]:
    """Open shards without decoding them.

    Args:
        shards: the files, checked already.
        source: names the columns.

    Raises:
        DataError: a file is damaged.
    """
    splits: dict[SplitName, ImageSplit] = {}
    for split in SPLITS:
        files = shards.files[split]
        labels = np.concatenate([labels_of(path, source.label) for path in files])
        splits[split] = ImageSplit(
            ParquetImages(files, source.image), torch.from_numpy(labels.copy())
        )
    return splits
