"""All that is kept below the cache folder is listed and can be deleted, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.data.kept.listing import list_kept
from benchmark.errors import DataError


def put(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    put(tmp_path / "trees" / "1.safetensors", 50)
    put(tmp_path / "trees" / "2-train.images" / "00000-of-00002.arrow", 300)
    put(tmp_path / "trees" / "2-train.images" / "00001-of-00002.arrow", 100)
    put(tmp_path / "trees" / "6.answers" / "epoch+00000" / "step-000000.safetensors", 15)
    put(tmp_path / "trees" / ".3.safetensors.9-ab.partial", 5)
    put(tmp_path / "trees" / "5.safetensors.7.tmp", 3)
    put(tmp_path / "old" / "4-test.pixels", 40)
    put(tmp_path / "old" / "4-test.pixels.journal", 4)
    put(tmp_path / "unpacked" / "birds-ab" / "birds" / "a.jpg", 30)
    put(tmp_path / "arrow" / "parquet" / "default-12" / "0.0.0" / "x.arrow", 20)
    put(tmp_path / "recipes-77.json", 10)
    put(tmp_path / "networks-77.json", 8)
    for name in (
        "trees/1.safetensors.lock",
        "trees/notes.txt",
        "unpacked/birds-ab.lock",
        "mine.md",
    ):
        put(tmp_path / name, 1)
    return tmp_path


def test_everything_is_listed_the_largest_first(cache: Path) -> None:
    listed = [
        (kept.path.relative_to(cache).as_posix(), kept.dataset, kept.kind)
        for kept in list_kept(cache)
    ]
    assert listed == [
        ("trees/2-train.images", "trees", "decoded images"),
        ("trees/1.safetensors", "trees", "decoded images"),
        ("old/4-test.pixels", "old", "of an older version"),
        ("unpacked/birds-ab", "", "unpacked archive"),
        ("arrow/parquet/default-12", "", "of an older version"),
        ("trees/6.answers", "trees", "teacher outputs"),
        ("recipes-77.json", "", "index of recipes"),
        ("networks-77.json", "", "index of networks"),
        ("trees/.3.safetensors.9-ab.partial", "trees", "unfinished"),
        ("old/4-test.pixels.journal", "old", "of an older version"),
        ("trees/5.safetensors.7.tmp", "trees", "unfinished"),
    ]
    assert list_kept(cache)[0].size_bytes == 400
    assert list_kept(cache / "nowhere") == []


def test_what_is_deleted_is_gone_and_nothing_else(cache: Path) -> None:
    for kept in list_kept(cache):
        kept.delete()
    assert list_kept(cache) == []
    left = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}
    assert left == {
        "trees/1.safetensors.lock",
        "trees/notes.txt",
        "unpacked/birds-ab.lock",
        "mine.md",
    }


def test_what_went_away_meanwhile_needs_no_deleting(cache: Path) -> None:
    listed = list_kept(cache)
    for kept in listed:
        kept.delete()
    for kept in listed:
        kept.delete()
    assert list_kept(cache) == []


def test_what_cannot_be_deleted_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    kept = list_kept(cache)[1]
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(DataError, match=r"cannot delete .*1\.safetensors: Permission denied"):
        kept.delete()
