"""A file is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.files import probe, sweep, whole, write_whole


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


# ------------------------------------------------------------------ links, deaths, faults


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if someone could guess the name of the file that is being written."""
    target = tmp_path / "target"
    target.write_text("precious")
    monkeypatch.setattr("benchmark.files.unheard_of", lambda name: ".known.partial")
    (tmp_path / ".known.partial").symlink_to(target)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file", "new", durable=True)
    with pytest.raises(FileExistsError):
        probe(tmp_path)
    assert target.read_text() == "precious"


def test_a_file_in_the_place_of_a_link_replaces_the_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", "new", durable=True)
    assert (tmp_path / "target").read_text() == "precious"
    assert (tmp_path / "link").read_text() == "new"


def test_names_of_any_length_are_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "ü" * 127):
        write_whole(tmp_path / name, "text", durable=False)
        assert (tmp_path / name).read_text() == "text"


STEPS = ("open", "close", "fsync", "replace", "write", "mkdir")


@contextlib.contextmanager
def interrupted(at: int, stop: Callable[[], None]) -> Iterator[list[str]]:
    """Stop before the n-th operation on files; gives those that were made."""
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            plain = getattr(os, name)

            def step(*args: Any, _plain: Any = plain, _name: str = name, **words: Any) -> Any:
                if len(made) == at:
                    stop()
                made.append(_name)
                return _plain(*args, **words)

            patch.setattr(os, name, step)
        yield made


@pytest.mark.parametrize("deep", [False, True])
def test_a_death_between_any_two_operations_leaves_the_old_or_the_new(
    tmp_path: Path, deep: bool
) -> None:
    seen = set()
    for at in range(40):
        folder = tmp_path / str(at)
        file = folder / "down" / "file" if deep else folder / "file"
        folder.mkdir()
        if not deep:
            file.write_text("old" * 9000)
        child = os.fork()
        if child == 0:
            with interrupted(at, lambda: os._exit(9)):
                write_whole(file, "new" * 9000, durable=True)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        content = file.read_text() if file.exists() else ""
        assert content in ("new" * 9000, "" if deep else "old" * 9000)
        seen.add(content[:3])
        assert all(path in (file, file.parent) for path in sweep_and_list(folder))
        if code == 0:
            assert content == "new" * 9000
            break
    else:
        pytest.fail("it never came to an end")
    assert len(seen) == 2


def sweep_and_list(folder: Path) -> list[Path]:
    sweep(folder)
    return list(folder.rglob("*"))


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_fault_at_any_operation_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, fault: int
) -> None:
    def fail() -> None:
        raise OSError(fault, os.strerror(fault))

    file = tmp_path / "file"
    for at in range(40):
        file.write_text("old")
        with contextlib.suppress(OSError), interrupted(at, fail):
            write_whole(file, "new", durable=True)
            break
        # What fails behind the renaming is the folder's flush: the file is there, and new.
        assert file.read_text() in ("old", "new")
        assert os.listdir(tmp_path) == ["file"]
    else:
        pytest.fail("it never came to an end")
    assert file.read_text() == "new"


# ------------------------------------------------------------------------------- sweeping


def leave_behind(folder: Path) -> Path:
    """What a process leaves that is killed in the middle of a file."""
    child = os.fork()
    if child == 0:
        with whole(folder / "record.json", durable=False) as partial:
            partial.write_text("half")
            os._exit(9)
    os.waitpid(child, 0)
    [left] = [path for path in folder.iterdir() if path.name.endswith(".partial")]
    return left


def test_what_a_dead_process_left_is_swept_up(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    left = leave_behind(deep)
    (deep / "record.json").write_text("whole")
    assert sweep(tmp_path) == [left]
    assert os.listdir(deep) == ["record.json"]


def test_what_someone_still_writes_is_left_alone(tmp_path: Path) -> None:
    with whole(tmp_path / "file", durable=False) as partial:
        partial.write_text("new")
        assert sweep(tmp_path) == []
    assert (tmp_path / "file").read_text() == "new"


def test_another_host_s_files_are_left_alone_until_they_are_old(tmp_path: Path) -> None:
    left = leave_behind(tmp_path)
    foreign = re.sub(r"\.[0-9a-f]{8}-", ".00000000-", left.name)
    left = left.rename(left.with_name(foreign))
    assert sweep(tmp_path) == []
    os.utime(left, (0, 0))
    assert sweep(tmp_path) == [left]


@pytest.mark.parametrize("name", [".seed0.json.123-0a1b2c3d.partial", ".probe-12", ".writable.12"])
def test_what_older_versions_left_is_swept_when_it_is_old(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.touch()
    assert sweep(tmp_path) == []
    os.utime(file, (0, 0))
    assert sweep(tmp_path) == [file]


def test_nothing_else_is_swept_and_links_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    left = leave_behind(outside)
    (inside / "link").symlink_to(outside)
    kept = [".gitignore", "notes.partial", ".partial", "seed0.json"]
    for name in kept:
        (inside / name).touch()
        os.utime(inside / name, (0, 0))
    assert sweep(inside) == []
    assert left.exists()
    assert sweep(tmp_path / "nowhere") == []
