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
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.errors import DataError, printable
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
    return tuple(name for (name,) in _mat(path, "class_names")[1])


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
    fields, rows = _mat(path, "annotations", "fname", "class")
    if lacking := {"fname", "class"} - set(fields):
        raise DataError(
            f"{path} has no {' and no '.join(sorted(lacking))} in its annotations, only "
            f"{', '.join(fields)}. Take the devkit's file with labels."
        )
    return [(name, label) for name, label in rows]


def _rows_of_csv(path: Path) -> list[tuple[str, str]]:
    """File names and labels: the first and the last column, below a heading if there is one."""
    try:
        rows = [row for row in csv.reader(read_lines(path)) if row]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as CSV: {error}. Fetch it again.") from None
    if rows and not rows[0][-1].strip().isdecimal():
        rows = rows[1:]
    return [(row[0].strip(), row[-1].strip()) for row in rows]


def _mat(path: Path, key: str, *fields: str) -> tuple[list[str], list[list[str]]]:
    """One variable of a MATLAB file, as text.

    scipy's reader is a program of C that a damaged file can crash (1.17: one flipped byte of some
    thousand does), so it works in a process of its own.

    Returns:
        The variable's fields, and a row an entry: the wanted fields, or the entry's first part.
    """
    try:
        _check_unpacked(path)
        done = subprocess.run(
            [sys.executable, "-c", _READER, str(path), key, *fields],
            capture_output=True,
            text=True,
            timeout=_READER_S,
            check=False,
        )
        if done.returncode < 0:
            raise ValueError(f"its reader crashes (signal {-done.returncode})")
        if done.returncode:
            raise ValueError(done.stderr.strip().rpartition("\n")[2][:200])
        found, rows = json.loads(done.stdout)
    except (OSError, ValueError, zlib.error, subprocess.SubprocessError) as error:
        raise DataError(
            f"{path} cannot be read as a MATLAB file with '{key}': {printable(str(error))}. Fetch "
            "it again."
        ) from None
    return found, rows


_READER_S = 60
_READER = """
import json, sys, warnings
import scipy.io
warnings.simplefilter("ignore")
path, key, *wanted = sys.argv[1:]
values = scipy.io.loadmat(path)[key].ravel()
fields = list(values.dtype.names or ())
if not wanted:
    rows = [[str(value[0])] for value in values]
else:
    rows = [[str(value[name].item()) for name in wanted if name in fields] for value in values]
print(json.dumps([fields, rows]))
"""


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
