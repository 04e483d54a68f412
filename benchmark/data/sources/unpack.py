"""Unpacking archives into the cache: whole or not at all, once, and nothing outside its folder.

The standard library does it; pooch 1.9 would unpack in place, without a lock, and before Python
3.12 without the filter that keeps files inside.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from pathlib import Path

from filelock import FileLock

from benchmark.errors import DataError


def unpacked(archive: Path, cache_dir: Path) -> Path:
    """The folder with an archive's files; they are unpacked when they are first asked for.

    Args:
        archive: a tar file, packed or not. A changed one is unpacked anew.
        cache_dir: the files go to a folder of their own in ``unpacked/``.

    Raises:
        DataError: the archive is damaged or cut short, a path in it leaves the folder, or the
            folder cannot be written.
    """
    if not hasattr(tarfile, "data_filter"):
        raise DataError(
            f"this Python cannot unpack {archive} safely. Use Python 3.11.4 or later, or unpack it "
            f"yourself, in {archive.parent}."
        )
    status = archive.stat()
    parts = (archive.resolve(), status.st_size, status.st_mtime_ns)
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
    target = cache_dir / "unpacked" / f"{archive.name.partition('.')[0]}-{digest}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.is_dir():
                _unpack(archive, target)
    except tarfile.FilterError as error:
        raise DataError(
            f"{archive} is refused: {error}. A file in it would be written outside its folder; "
            "the official archive has none such. Fetch it again from its source."
        ) from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{archive} ({status.st_size:,} bytes) is damaged or was not downloaded to its end: "
            f"{error}. Fetch it again."
        ) from None
    except OSError as error:
        raise DataError(
            f"cannot unpack {archive} into {target.parent}: {error}.\n"
            "If it is damaged, fetch it again. If the disk is full, make room, choose another "
            f"cache with KDBENCH_CACHE, or unpack it yourself, in {archive.parent}."
        ) from None
    return target


def _unpack(archive: Path, target: Path) -> None:
    """Unpack beside the target and give it its name at the end, so that half is never whole."""
    half = target.with_name(f"{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)  # what an interrupted start left; the lock is ours
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(half, filter="data")
        os.replace(half, target)
    finally:
        shutil.rmtree(half, ignore_errors=True)
