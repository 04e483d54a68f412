"""A small data set of made-up pictures, and its files in every layout that real ones come in."""

from __future__ import annotations

import io
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmark.data.splits import ImageSplit

CLASSES = ("fir", "oak", "pine", "yew")
EDGE = 8


@dataclass(frozen=True)
class Mosaics:
    """Images (N, 8, 8, 3) and labels (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @classmethod
    def random(cls, count: int, seed: int) -> Mosaics:
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (count, EDGE, EDGE, 3), dtype=np.uint8)
        return cls(images, np.arange(count) % len(CLASSES))

    def split(self) -> ImageSplit:
        return ImageSplit(torch.from_numpy(self.images), torch.from_numpy(self.labels))


def as_file(image: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, lossless=True)
    return stream.getvalue()


def write_shards(
    folder: Path,
    split: str,
    files: list[bytes],
    labels: NDArray[np.int64],
    *,
    shards: int = 1,
    names: bool = True,
) -> None:
    """Parquet files as ``datasets.Dataset.push_to_hub`` writes them."""
    import datasets

    label = datasets.ClassLabel(names=list(CLASSES)) if names else datasets.Value("int64")
    features = datasets.Features({"img": datasets.Image(), "kind": label})
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"img": {"bytes": file, "path": None}, "kind": int(number)}
        for file, number in zip(files, labels, strict=True)
    ]
    for shard, chosen in enumerate(np.array_split(np.arange(len(rows)), shards)):
        table = pa.Table.from_pylist([rows[i] for i in chosen], schema=features.arrow_schema)
        pq.write_table(table, folder / f"{split}-{shard:05d}-of-{shards:05d}.parquet")


def write_archive(folder: Path, train: Mosaics, test: Mosaics) -> None:
    """A folder like the official python archives."""
    folder.mkdir(parents=True)
    for name, part in (("train", train), ("test", test)):
        (folder / name).write_bytes(python2_pickle(part))
    (folder / "meta").write_bytes(pickle.dumps({"kind_names": list(CLASSES)}, protocol=2))


def python2_pickle(pictures: Mosaics) -> bytes:
    """``{"data": uint8 array (N, 3·8·8), "kinds": list}`` as Python 2 pickled it.

    Python 2 wrote the array's bytes as a plain string, which no later pickler does.
    """
    planes = pictures.images.transpose(0, 3, 1, 2).reshape(len(pictures.labels), -1)
    shape = b"".join(b"M" + struct.pack("<H", size) for size in planes.shape)
    raw = planes.tobytes()
    numbers = b"".join(b"K" + bytes([label]) for label in pictures.labels)
    return (
        b"\x80\x02}(U\x04data"
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01" + shape + b"\x86"
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb"
        b"U\x05kinds](" + numbers + b"eu."
    )
