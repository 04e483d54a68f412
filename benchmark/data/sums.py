"""Whether files of a user's are still those that were read at first.

A flipped byte in a JPEG is a picture like any other. What a file held when it was first read is
therefore written down, in the cache: its size, the time of its last change, and its SHA-256. As
long as size and time are the same nothing is read (12,000 files: 0.1 s); where they are not, or all
is to be looked at (``kdbench data check``), the file is, and another content is an error.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.loaders.workers import default_workers
from benchmark.errors import DataError
from benchmark.events import Listener
from benchmark.files import file_digest, write_whole

_SHOWN = 5
Known = dict[str, tuple[int, int, str]]
"""Size in bytes, time of the last change in ns and SHA-256, by path below the common folder."""


@dataclass(frozen=True)
class Sums:
    """Where it is written down what some files held.

    Attributes:
        path: of the list.
        listener: hears of the progress, and of a damaged list.
        thorough: every file is read, also one that seems unchanged.
    """

    path: Path
    listener: Listener
    thorough: bool = False

    def compare(self, files: Sequence[Path]) -> None:
        """Refuse files whose content is another than when they were first read.

        Args:
            files: all that a data set is read from; those that are new are written down.

        Raises:
            DataError: names the files; or one cannot be read.
        """
        if not files:
            return
        root = os.path.commonpath([path.parent for path in files])
        names = {os.path.relpath(path, root): path for path in files}
        known = self._read()
        try:
            stamps = {name: _stamp(path) for name, path in names.items()}
            asked = [
                name
                for name in names
                if self.thorough or name not in known or known[name][:2] != stamps[name]
            ]
            found = dict(zip(asked, self._digests(names[name] for name in asked), strict=True))
        except OSError as error:
            raise DataError(
                f"{error.filename} cannot be read: {error.strerror}. Put it back, or allow "
                "reading it."
            ) from None
        wrong = [
            name
            for name, digest in found.items()
            if digest != (known[name][2] if name in known else _promised(names[name]) or digest)
        ]
        if wrong:
            raise DataError(self._say([names[name] for name in wrong]))
        if found or set(known) - set(names):
            self._write(
                {name: (*stamps[name], found.get(name) or known[name][2]) for name in names}
            )

    def _digests(self, files: Iterable[Path]) -> list[str]:
        """Of many files, read by several threads."""
        paths = list(files)
        with (
            self.listener.progress("comparing files", len(paths)) as advance,
            ThreadPoolExecutor(default_workers(), "sums") as pool,
        ):
            digests = []
            for digest in pool.map(file_digest, paths):
                digests.append(digest)
                advance(1)
        return digests

    def _say(self, wrong: list[Path]) -> str:
        more = f" and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        return (
            f"{len(wrong):,} of the files hold something else than when they were first read: "
            f"{', '.join(map(str, wrong[:_SHOWN]))}{more}.\n"
            "They are damaged, or were exchanged. Fetch or copy them again. If they are to be "
            "others, raise 'revision' in the card's source where it is your own, and delete "
            f"{self.path}."
        )

    def _read(self) -> Known:
        """What is written down; nothing if there is no list, or a damaged one."""
        try:
            sum_, _, content = self.path.read_text("utf-8").partition("\n")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError):
            sum_, content = "", ""
        if sum_ != _sum(content):
            self.listener.note(
                f"{self.path} is damaged; the files count as read for the first time"
            )
            return {}
        return {
            name: (size, time, digest) for name, (size, time, digest) in json.loads(content).items()
        }

    def _write(self, known: Known) -> None:
        content = json.dumps(known, separators=(",", ":"))
        try:
            write_whole(self.path, f"{_sum(content)}\n{content}", durable=False)
        except OSError as error:
            self.listener.note(f"cannot write down what the files hold: {error}")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _promised(path: Path) -> str | None:
    """The SHA-256 by which the hub's own cache calls a large file."""
    blob = path.resolve()
    promised = blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name)
    return blob.name if promised else None


def _sum(content: str) -> str:
    return f"{zlib.crc32(content.encode()):08x}"
