"""Unpacking archives into the cache: whole or not at all, once, and nothing outside its folder.

Files are made anew, below open folders and through no link; they get neither the rights nor the
owners that the archive says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from filelock import FileLock

from benchmark.cards.card import Card
from benchmark.data.sources.packed import Limits, Member, Refused, check_sum, explained, members
from benchmark.errors import DataError

_BLOCK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpacked(archive: Path, card: Card, cache_dir: Path) -> Path:
    """The folder with an archive's files; they are unpacked when they are first asked for.

    Args:
        archive: a tar file, packed or not, or a zip file. A changed one is unpacked anew.
        card: counts its images, which bounds what it may hold, and may know its checksum.
        cache_dir: the files go to a folder of their own in ``unpacked/``.

    Raises:
        DataError: the archive is damaged, cut short or another one than the card means, holds
            links or too much, a path in it leaves the folder, or the folder cannot be written.
    """
    status = archive.stat()
    parts = (archive.resolve(), status.st_size, status.st_mtime_ns)
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
    target = cache_dir / "unpacked" / f"{archive.name.partition('.')[0]}-{digest}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.is_dir():
                _unpack(archive, card, target)
    except OSError as error:
        raise DataError(
            f"cannot unpack {archive} into {target.parent}: {error}.\n"
            "If it is damaged, fetch it again. If the disk is full, make room, choose another "
            f"cache with KDBENCH_CACHE, or unpack it yourself, in {archive.parent}."
        ) from None
    return target


def _unpack(archive: Path, card: Card, target: Path) -> None:
    """Unpack beside the target and give it its name at the end, so that half is never whole."""
    half = target.with_name(f"{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)  # what an interrupted start left; the lock is ours
    try:
        half.mkdir()
        root = os.open(half, _FOLDER)
        try:
            with explained(archive), archive.open("rb") as file:
                check_sum(archive, file, card)
                for member in members(file, Limits.of(card)):
                    _write(root, member)
        finally:
            os.close(root)
        os.replace(half, target)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _write(root: int, member: Member) -> None:
    """Make one file or folder.

    Args:
        root: descriptor of the folder below which it is made.
        member: of the archive.
    """
    path = "/".join(member.parts)
    folder = os.dup(root)
    try:
        for part in member.parts if member.content is None else member.parts[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        if member.content is not None:
            with open(os.open(member.parts[-1], _NEW_FILE, 0o666, dir_fd=folder), "wb") as file:
                while block := member.content.read(_BLOCK):
                    file.write(block)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Refused(f"'{path}' is in it twice, or a file where a folder is meant") from None
    finally:
        os.close(folder)
