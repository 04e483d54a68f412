"""Images of different sizes: kept encoded in Arrow files and decoded when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.cards.card import HubSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.decoding import decode_image
from benchmark.data.sources.shards import Shards
from benchmark.data.splits import ImageSplit
from benchmark.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class ArrowImages:
    """A column of image files in a memory-mapped Arrow table.

    Attributes:
        table: the data set of Hugging Face's ``datasets``.
        column: holds the images, still encoded.
        origin: names the place in messages.
    """

    table: Dataset
    column: str
    origin: str

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.table)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """One image (H, W, 3).

        Raises:
            DataError: it cannot be decoded.
        """
        encoded = self.table[position][self.column]["bytes"]
        return decode_image(encoded, f"{self.origin}, row {position}")

    def select(self, positions: Sequence[int]) -> ArrowImages:
        """Some of the images, in the given order."""
        return ArrowImages(self.table.select(positions), self.column, self.origin)


def open_encoded(shards: Shards, source: HubSource, cache_dir: Path) -> dict[SplitName, ImageSplit]:
    """Open shards without decoding them.

    Args:
        shards: the files, checked already.
        source: names the columns.
        cache_dir: where the Arrow files are kept.

    Raises:
        DataError: a file is damaged.
    """
    import datasets  # takes a second and is needed for such data only

    datasets.disable_progress_bars()
    splits: dict[SplitName, ImageSplit] = {}
    for split in SPLITS:
        origin = f"split '{split}' of {shards.folder}"
        try:
            table = datasets.Dataset.from_parquet(
                [str(path) for path in shards.files[split]],
                columns=[source.image, source.label],
                cache_dir=str(cache_dir / "arrow"),
            ).cast_column(source.image, datasets.Image(decode=False))
            labels = torch.tensor(table[source.label][:], dtype=torch.int64)
        except (datasets.exceptions.DatasetsError, OSError, TypeError, ValueError) as error:
            reason = str(error.__cause__ or error).partition("\n")[0]
            raise DataError(f"{origin} cannot be read: {reason} Fetch its files again.") from None
        splits[split] = ImageSplit(ArrowImages(table, source.image, origin), labels)
    return splits
