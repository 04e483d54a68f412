"""A folder of thousands of records: the work of a leaderboard grows as the folder does."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest

from benchmark.records import bounds, history, parts
from benchmark.records.places import record_files
from benchmark.records.store import Store
from benchmark.reports.formats import load_formats
from benchmark.reports.leaderboard import compose
from tests.support.many_records import write_many

FEW = 120


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three folders, each with as many records more than the one before."""
    root = tmp_path_factory.mktemp("many")
    for times in (1, 2, 3):
        write_many(root / str(times), times * FEW)
    return [root / str(times) for times in (1, 2, 3)]


def test_every_made_record_is_trusted(folders: list[Path]) -> None:
    contents = Store(folders[0]).all()
    assert len(contents.records) == FEW
    assert not contents.problems
    assert not contents.beside


def test_every_file_is_read_once(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[Path] = Counter()
    original = bounds.read_bytes

    def counted(path: Path) -> bytes:
        read[path] += 1
        return original(path)

    for module in (bounds, history):
        monkeypatch.setattr(module, "read_bytes", counted)
    compose(folders[0], load_formats([]).get("md"))
    assert len(read) == 2 * FEW  # each with its history
    assert set(read.values()) == {1}


def test_the_work_grows_no_faster_than_the_folder(folders: list[Path]) -> None:
    compose(folders[0], load_formats([]).get("md"))  # what is imported and kept once
    first, second, third = (_calls(folder) for folder in folders)
    assert third - second < 1.1 * (second - first)


@pytest.mark.skipif(not parts.THREADS.exists(), reason="this system does not count its threads")
def test_several_processes_read_what_one_reads(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = tmp_path / "many"
    shutil.copytree(folders[0], root)
    first, *_, last = record_files(root)
    first.write_text("{")
    last.with_suffix(".csv").unlink()
    alone = Store(root).all()
    assert len(alone.problems) == len(alone.beside) == 1
    monkeypatch.setattr(parts, "ENOUGH", FEW // 4)
    monkeypatch.setattr(parts, "_can_fork", lambda: True)
    monkeypatch.setattr(parts, "cores", lambda: 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest's process may have threads
        assert Store(root).all() == alone


def _calls(folder: Path) -> int:
    """Number of calls that a leaderboard takes, of Python's functions and of C's."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    form = load_formats([]).get("md")
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        compose(folder, form)
    finally:
        sys.setprofile(before)
    return count
