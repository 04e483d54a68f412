"""Lists that somebody made to do harm: one clear error, whatever stands in them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import BenchmarkError, DataError
from benchmark.layouts import cars
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.layouts.listing import Places
from tests.support.fuzzing import fuzzed
from tests.support.miniatures import write_cars, write_csv, write_cub

LAYOUTS = LayoutCatalogue()
WRITTEN: dict[str, Callable[[Path], None]] = {
    "cub": write_cub,
    "csv": write_csv,
}


def read(layout: str, folder: Path, **options: str) -> None:
    LAYOUTS.get(layout).read(Places((folder,)), options)


@pytest.mark.parametrize("path", ["../x.jpg", "/x.jpg", "a\0b.jpg", "~/x.jpg", "c:/x", "\x1b[2J"])
def test_no_line_leads_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "labels.csv").write_text(f"path,label,split\n{path},a,train\n")
    with pytest.raises(DataError) as caught:
        read("csv", tmp_path)
    assert "\x1b" not in str(caught.value)


def test_an_option_does_not_lead_out(tmp_path: Path) -> None:
    write_csv(tmp_path / "birds")
    with pytest.raises(DataError, match="leaves the folder"):
        read("csv", tmp_path / "birds", file="../birds/labels.csv")


@pytest.mark.parametrize("label", ["9" * 5000, "٣" * 30, "-1", "1e3"])
def test_a_number_without_measure_is_no_label(tmp_path: Path, label: str) -> None:
    write_cub(tmp_path / "cub")
    path = tmp_path / "cub" / "image_class_labels.txt"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([f"{first.split()[0]} {label}", *rest]))
    with pytest.raises(DataError) as caught:
        read("cub", tmp_path / "cub")
    assert len(str(caught.value)) < 1000


def test_a_list_is_no_pipe(tmp_path: Path) -> None:
    write_cub(tmp_path / "cub")
    (tmp_path / "cub" / "classes.txt").unlink()
    os.mkfifo(tmp_path / "cub" / "classes.txt")
    with pytest.raises(DataError, match="not a regular file"):
        read("cub", tmp_path / "cub")


def test_a_packed_table_without_measure_is_not_unpacked(tmp_path: Path) -> None:
    write_cars(tmp_path / "cars")
    path = next((tmp_path / "cars").rglob("cars_meta.mat"))
    scipy.io.savemat(path, {"class_names": np.zeros(20_000_000)}, do_compression=True)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match="unpacked it is larger than"):
        read("cars", tmp_path / "cars")


@pytest.mark.parametrize("layout", WRITTEN)
@fuzzed
@given(
    file=st.integers(0, 10), place=st.integers(0, 10**6), other=st.binary(min_size=1, max_size=9)
)
def test_any_bytes_are_a_list_or_an_error(layout: str, file: int, place: int, other: bytes) -> None:
    folder = made(layout)
    tables = Places((folder,)).tables
    table = tables[file % len(tables)]
    whole = table.read_bytes()
    start = place % len(whole)
    table.write_bytes(whole[:start] + other + whole[start + len(other) :])
    try:
        with contextlib.suppress(BenchmarkError):
            read(layout, folder)
    finally:
        table.write_bytes(whole)


@functools.cache
def made(layout: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    WRITTEN[layout](folder)
    return folder


def test_a_damaged_table_of_matlab_crashes_nobody(tmp_path: Path) -> None:
    """scipy's reader does crash, in a process of its own."""
    write_cars(tmp_path)
    table = next(tmp_path.rglob("cars_train_annos.mat"))
    whole = table.read_bytes()
    for place in range(130, len(whole), len(whole) // 4):
        table.write_bytes(whole[:place] + b"\xff\x7f" + whole[place + 2 :])
        with contextlib.suppress(BenchmarkError):
            read("cars", tmp_path)


def test_a_crash_of_the_reader_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cars(tmp_path)
    monkeypatch.setattr(cars, "_READER", "import os; os.abort()")
    with pytest.raises(DataError, match="its reader crashes"):
        read("cars", tmp_path)
