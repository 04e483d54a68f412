"""The layout of Stanford Cars: MATLAB files of the devkit, or the same as CSV, and two folders.

    devkit/cars_meta.mat, devkit/cars_train_annos.mat     classes; file names and labels from 1
    cars_test_annos_withlabels.mat                        the same for the test images
    cars_train/00001.jpg, cars_test/00001.jpg             both count from 1

The devkit's own ``cars_test_annos.mat`` has no labels; those with labels are a file of their own.
The CSV form is ``names.csv`` (class_id,class_name), ``anno_train.csv`` and ``anno_test.csv`` (file
name first, label last).
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.errors import DataError
from benchmark.layouts.listing import (
    Layout,
    Listing,
    Places,
    from_one,
    inside,
    read_lines,
)

_TEST_LABELS = "cars_test_annos_withlabels.mat"


def read(places: Places, options: Mapping[str, str]) -> Listing:
    """List the images in the order of the annotations."""
    names = _class_names(places)
    items: dict[SplitName, list[tuple[Path, int]]] = {}
    for split in SPLITS:
        # Some copies have the folder in a folder of the same name.
        folder = places.need(f"cars_{split}/cars_{split}", f"cars_{split}")
        table = _annotations(places, split)
        items[split] = []
        rows = _rows_of_csv(table) if table.suffix == ".csv" else _rows_of_mat(table)
        for row, (name, label) in enumerate(rows, 1):
            place = f"{table}, entry {row}"
            number = from_one(label, len(names), place)
            items[split].append((inside(folder, name, place), number))
    return Listing(items, names)


def _class_names(places: Places) -> tuple[str, ...]:
    path = places.need("devkit/cars_meta.mat", "cars_meta.mat", "names.csv")
    if path.suffix == ".csv":
        # Two columns; a name may hold a comma.
        lines = [line.partition(",")[2] for line in read_lines(path)[1:]]
        return tuple(name.strip().strip('"') for name in lines)
    names = _mat(path, "class_names").ravel()
    try:
        return tuple(str(name[0]) for name in names)
    except (IndexError, TypeError):
        raise DataError(f"{path} holds no names of classes. Fetch it again.") from None


def _annotations(places: Places, split: SplitName) -> Path:
    """The file with file names and labels of a split."""
    if split == "train":
        return places.need("devkit/cars_train_annos.mat", "cars_train_annos.mat", "anno_train.csv")
    with_labels = (f"devkit/{_TEST_LABELS}", _TEST_LABELS, "anno_test.csv")
    found = places.find(*with_labels)
    if found is None:
        raise DataError(
            f"{places} has no labels of the test images: cars_test_annos.mat of the devkit has "
            f"none. Put {_TEST_LABELS}, which the authors give as a file of its own, there."
        )
    return found


def _rows_of_mat(path: Path) -> list[tuple[str, str]]:
    """File names and labels as the file has them."""
    annotations = _mat(path, "annotations").ravel()
    fields = annotations.dtype.names or ()
    if lacking := {"fname", "class"} - set(fields):
        raise DataError(
            f"{path} has no {' and no '.join(sorted(lacking))} in its annotations, only "
            f"{', '.join(fields)}. Take the devkit's file with labels."
        )
    try:
        return [(str(row["fname"].item()), str(row["class"].item())) for row in annotations]
    except (AttributeError, ValueError):
        raise DataError(f"{path} holds no names and labels. Fetch it again.") from None


def _rows_of_csv(path: Path) -> list[tuple[str, str]]:
    """File names and labels: the first and the last column, below a heading if there is one."""
    try:
        rows = [row for row in csv.reader(read_lines(path)) if row]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as CSV: {error}. Fetch it again.") from None
    if rows and not rows[0][-1].strip().isdecimal():
        rows = rows[1:]
    return [(row[0].strip(), row[-1].strip()) for row in rows]


def _mat(path: Path, key: str) -> Any:
    """One variable of a MATLAB file."""
    import scipy.io  # takes a tenth of a second, and one layout alone needs it

    try:
        _check_unpacked(path)
        return scipy.io.loadmat(str(path))[key]
    except Exception as error:  # a damaged file can fail in any way
        raise DataError(
            f"{path} cannot be read as a MATLAB file with '{key}': {error}. Fetch it again."
        ) from None


def _check_unpacked(path: Path) -> None:
    """Refuse a MATLAB file whose packed parts are without measure.

    Raises:
        ValueError: they are, or it is no such file.
        zlib.error: a part is damaged.
    """
    if path.stat().st_size > _MOST_MAT_BYTES:
        raise ValueError(f"it is larger than {_MOST_MAT_BYTES:,} bytes")
    content, place, left = path.read_bytes(), 128, _MOST_MAT_BYTES  # behind the file's heading
    order: Literal["big", "little"] = "big" if content[126:128] == b"MI" else "little"
    while place + 8 <= len(content):
        kind, size = (
            int.from_bytes(content[start : start + 4], order) for start in (place, place + 4)
        )
        if kind == _PACKED:
            part = content[place + 8 : place + 8 + size]
            left -= len(zlib.decompressobj().decompress(part, left + 1))
            if left < 0:
                raise ValueError(f"unpacked it is larger than {_MOST_MAT_BYTES:,} bytes")
        place += 8 + size


_MOST_MAT_BYTES = 64 << 20  # the devkit's have less than one
_PACKED = 15  # the kind of a part that zlib packed

LAYOUT = Layout(
    name="cars",
    about="Stanford Cars: the devkit's .mat files (or CSV), cars_train/ and cars_test/",
    marks=("devkit", "cars_train_annos.mat", "anno_train.csv", "cars_train"),
    read=read,
)
