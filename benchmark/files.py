"""Files: written whole or not at all, told apart by their content, and swept up after a death."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

OLD_S = 86_400.0  # what no process of this system can be asked about is left alone for a day
_PARTIAL = re.compile(r"\..*\.(?P<system>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{16}\.partial")
# What versions before this one left behind, without a word of the system.
_OLDER = re.compile(r"\..*\.\d+-[0-9a-f]{8}\.partial|\.probe-\d+|\.writable\.\d+")
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)  # Windows has none; O_EXCL refuses links as well
_DEEPEST = 8  # folders below one that is swept: records are four deep

Content = bytes | memoryview


@contextlib.contextmanager
def whole(path: Path, *, durable: bool) -> Iterator[Path]:
    """A path to write to, whose file takes the place of another one when the block is left.

    Whoever reads the file finds the old one or the new one, whole. Any number of processes, also of
    several machines, may write the same file: the last one wins.

    The file is there when the block begins, empty, made under a name that nobody can know before
    and never through a link.

    Args:
        path: of the file; its folder is made if need be.
        durable: whether to wait until the content is on the disk before it gets the name, and until
            the name is, so that not even a loss of power leaves a part of it. Costs milliseconds.

    Raises:
        OSError: the file cannot be written; nothing is left of the attempt. Callers say what the
            user can do about it.
    """
    _make_folder(path.parent, durable=durable)
    partial = path.with_name(unheard_of(path.name))
    made = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666)
    try:
        os.close(made)
        yield partial
        if durable:
            _flush(partial)
        os.replace(partial, path)
        if durable:
            _flush(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: Content | str | Sequence[Content], *, durable: bool) -> None:
    """Put content in the place of a file, as ``whole`` does.

    Args:
        path: of the file.
        content: text is written as UTF-8, with its line ends as they are; several pieces of bytes
            one after the other.
        durable: see ``whole``.

    Raises:
        OSError: see ``whole``.
    """
    if isinstance(content, str):
        content = content.encode("utf-8")
    pieces = [content] if isinstance(content, bytes | memoryview) else content
    with whole(path, durable=durable) as partial, partial.open("r+b") as file:
        for piece in pieces:
            file.write(piece)


def probe(folder: Path) -> None:
    """Make a folder if need be, and see whether files can be written there.

    Raises:
        OSError: they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / unheard_of("probe")
    file.touch(exist_ok=False)
    file.unlink()


def sweep(folder: Path) -> list[Path]:
    """Remove what dead processes left half done in a folder and in those below it.

    That is unfinished files and probes of processes of this system that are no more, and those of
    other systems that are older than a day. What another process still writes is left alone, links
    are not followed, and what cannot be removed stays.

    Returns:
        What was removed.
    """
    removed = []
    for path in left_over(folder):
        with contextlib.suppress(OSError):
            path.unlink()
            removed.append(path)
    return removed


def left_over(folder: Path) -> Iterator[Path]:
    """What ``sweep`` would remove."""
    for path in _hidden_files(folder, _DEEPEST):
        with contextlib.suppress(OSError):
            if _is_left_over(path):
                yield path


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def system_name() -> str:
    """This start of this machine, and the space that its process numbers count in.

    Machines and containers of one name may share a folder.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def unheard_of(name: str) -> str:
    """A name for a file that is being written, which says by whom; ``sweep`` knows it.

    It is hidden, and ends in no word that a search for records or weights looks for.
    """
    # File systems take 255 bytes; what is cut off is for a person only.
    name = os.fsdecode(os.fsencode(name)[:180])
    return f".{name}.{_system()}-{os.getpid()}-{secrets.token_hex(8)}.partial"


def _system() -> str:
    return hashlib.sha256(system_name().encode()).hexdigest()[:8]


def _make_folder(folder: Path, *, durable: bool) -> None:
    missing = [f for f in (folder, *folder.parents) if not f.exists()] if durable else []
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _flush(made.parent)


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # which opens no folders, and keeps their names itself
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hidden_files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if depth > 0:
                yield from _hidden_files(Path(entry.path), depth - 1)
        elif entry.name.startswith("."):
            yield Path(entry.path)


def _is_left_over(path: Path) -> bool:
    """Whether a file was being written by a process that is no more.

    Raises:
        OSError: it is gone.
    """
    ours = _PARTIAL.fullmatch(path.name)
    if ours is None and _OLDER.fullmatch(path.name) is None:
        return False
    if ours is not None and ours["system"] == _system() and not _is_alive(int(ours["process"])):
        return True
    return time.time() - path.lstat().st_mtime > OLD_S


def _is_alive(process: int) -> bool:
    import psutil  # only those who sweep wait for it

    return bool(psutil.pid_exists(process))
