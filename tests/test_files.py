"""A file is written whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from benchmark.files import write_whole


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("content", ["zwölf\r\nand\n", "zwölf\r\nand\n".encode()])
def test_content_is_written_as_it_is(tmp_path: Path, content: str | bytes, durable: bool) -> None:
    file = tmp_path / "deep" / "down" / "file.txt"
    write_whole(file, content, durable=durable)
    write_whole(file, content, durable=durable)
    assert file.read_bytes() == "zwölf\r\nand\n".encode()
    assert os.listdir(file.parent) == ["file.txt"]


def test_a_view_of_memory_is_written_without_a_copy(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", memoryview(b"0123")[1:], durable=False)
    assert (tmp_path / "file").read_bytes() == b"123"


def test_others_may_read_what_they_could_read_before(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_whole(tmp_path / "whole", "", durable=False)
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "half \udc80", durable=True)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_in_the_way_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", "text", durable=False)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "below", "text", durable=False)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def _write_many(path: Path, letter: str) -> None:
    for _ in range(50):
        write_whole(path, letter * 100_000, durable=False)


def test_processes_do_not_mix_what_they_write(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "a" * 100_000, durable=False)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(file, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert file.read_text() in ("a" * 100_000, "b" * 100_000)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert os.listdir(tmp_path) == ["file"]
