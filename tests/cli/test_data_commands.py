"""Look at data sets, and at what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.called import Kdbench
from tests.support.miniatures import write_image_folder


def test_data_check_counts_and_draws(card_folder: Path, tmp_path: Path, kdbench: Kdbench) -> None:
    picture = tmp_path / "tiny.png"
    words = ["data", "check", "tiny", "--path", str(card_folder), "--sheet", str(picture)]
    code, out, _ = kdbench(*words)
    assert code == 0
    assert "Nothing is wrong with it." in out
    assert picture.stat().st_size > 1000
    code, out, _ = kdbench(*words, "--json")
    assert json.loads(out)["splits"]["train"]["images"] == 40
    for file in (tmp_path / "tiny.sheet", tmp_path / "nowhere" / "tiny.png"):
        code, _, error = kdbench(*words[:-1], str(file))
        assert code == 2
        assert "cannot write the picture" in error
    code, _, error = kdbench("data", "fetch", "tiny", "--path", str(card_folder))
    assert code == 2
    assert "not fetched from anywhere" in error


def test_what_is_kept_of_images_is_listed_and_deleted(
    card_folder: Path, tmp_path: Path, kdbench: Kdbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "own"))
    check = [
        "data",
        "check",
        "tiny",
        "--path",
        str(card_folder),
        "--sheet",
        str(tmp_path / "x.png"),
    ]
    assert kdbench(*check)[0] == 0
    code, out, _ = kdbench("data", "cache", "--json")
    [kept] = json.loads(out)["files"]
    assert kept["dataset"] == "tiny"
    assert Path(kept["path"]).stat().st_size == kept["bytes"]
    assert "Nothing is kept" in kdbench("data", "cache", "--dataset", "other", "--clear")[1]
    code, out, _ = kdbench("data", "cache", "--clear")
    assert code == 0
    assert "1 file, " in out
    assert "deleted." in out
    assert not Path(kept["path"]).exists()
    assert kdbench(*check)[0] == 0, "it is made again"


def test_every_missing_image_is_named(kdbench: Kdbench, tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images")
    assert kdbench("new", "dataset", "trees", "--from", "images", "--path", "mine")[0] == 0
    words = ["data", "check", "trees", "--path", "mine"]
    assert kdbench(*words)[0] == 0
    files = sorted((tmp_path / "images" / "train").rglob("*.jpg"))
    for path in files[1:4]:
        path.write_bytes(b"")
    code, _, error = kdbench(*words)
    assert code == 2
    assert all(f"{path} is empty" in error for path in files[1:4])
    code, out, _ = kdbench(*words, "--json")
    assert code == 1
    assert json.loads(out)["problems"] == [f"{path} is empty" for path in files[1:4]]
