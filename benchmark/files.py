"""Files: written whole or not at all, and told apart by their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: Path, *, durable: bool) -> Iterator[Path]:
    """A path to write to, whose file takes the place of another one when the block is left.

    Whoever reads the file finds the old one or the new one, whole. Any number of processes, also of
    several machines, may write the same file: the last one wins.

    Args:
        path: of the file; its folder is made if need be.
        durable: whether to wait until the content is on the disk before it gets the name, so that
            not even a loss of power leaves a part of it. Costs milliseconds.

    Raises:
        OSError: the file cannot be written; nothing is left of the attempt. Callers say what the
            user can do about it.
    """
    # Hidden, and ending in no word that a search for records or weights looks for.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | str | memoryview, *, durable: bool) -> None:
    """Put content in the place of a file, as ``whole`` does.

    Args:
        path: of the file.
        content: text is written as UTF-8, with its line ends as they are.
        durable: see ``whole``.

    Raises:
        OSError: see ``whole``.
    """
    with whole(path, durable=durable) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
