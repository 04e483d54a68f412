"""Fetching one large file: with progress, going on where an earlier try stopped, and checked.

None of the libraries at hand does this: pooch 1.9 begins a broken download again from its first
byte, torch.hub and torchvision as well, and huggingface_hub goes on, but only with its own hub or
through a function that it does not publish.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from benchmark.errors import DataError
from benchmark.events import Listener

_BLOCK = 1 << 20
_PATIENCE_S = 30.0
_MOST_BYTES = 1 << 40
_NO_MORE = 416  # the answer to a range that begins behind the file's end


def download(url: str, path: Path, *, checksum: str, listener: Listener | None = None) -> Path:
    """Fetch a file, unless it is there already.

    What arrived of it is kept beside it as ``NAME.partial`` when the connection breaks, and the
    next call asks for the rest only. The file gets its name when its checksum is right.

    Args:
        url: of the file.
        path: where it shall lie.
        checksum: ``md5:…`` or ``sha256:…``, in hexadecimal digits.
        listener: hears of the progress, in kilobytes.

    Raises:
        DataError: no connection, no such file, no room, or another file than was expected.
    """
    partial = path.with_name(f"{path.name}.partial")
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"cannot write to {path.parent}: {error.strerror or error}. Choose another folder."
        ) from None
    try:
        if not path.is_file():
            _fetch(url, partial, path, listener or Listener())
            _require(partial, checksum, url)
            os.replace(partial, path)
    finally:
        lock.release()
    return path


def _fetch(url: str, partial: Path, path: Path, listener: Listener) -> None:
    """Bring the partial file to its whole length, and say what stands against it."""
    try:
        _fetch_rest(url, partial, listener)
    except urllib.error.HTTPError as error:
        raise DataError(
            f"{url} cannot be fetched: the server answers {error.code}. "
            f"Fetch the file another way and put it at {path}."
        ) from None
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as error:
        have = partial.stat().st_size if partial.exists() else 0
        raise DataError(
            f"{url} cannot be fetched: {getattr(error, 'reason', None) or error}. {have:,} "
            f"bytes have arrived; the same command goes on. Or put the file at {path} yourself."
        ) from None
    except OSError as error:
        raise DataError(
            f"cannot write {partial}: {error.strerror or error}. Make room and repeat."
        ) from None


def _fetch_rest(url: str, partial: Path, listener: Listener) -> None:
    """Append what is missing of the file; start over if the server cannot go on."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_PATIENCE_S)
    except urllib.error.HTTPError as error:
        if have and error.code == _NO_MORE:
            return  # the checksum will tell whether it is whole
        raise
    with answer:
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            _opened(partial, anew=not goes_on) as file,
            listener.progress(f"{partial.stem} (kB)", (total or 0) // 1000) as advance,
        ):
            advance(have // 1000)
            while block := answer.read(_BLOCK):
                have += len(block)
                if have > _MOST_BYTES:
                    raise DataError(f"{partial.stem} does not end: {have:,} bytes have arrived.")
                file.write(block)
                advance(len(block) // 1000)
    if total is not None and partial.stat().st_size < total:
        raise http.client.HTTPException("the connection broke")


def _opened(partial: Path, *, anew: bool) -> BinaryIO:
    """The partial file, to be written; nothing is written through a link in its place."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(partial, flags | (os.O_TRUNC if anew else os.O_APPEND), 0o666), "wb")


def _require(file: Path, checksum: str, url: str) -> None:
    """Delete the file and raise DataError if it is not the one that was expected."""
    kind, _, expected = checksum.partition(":")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.new(kind)).hexdigest()
    if found != expected:
        file.unlink()
        raise DataError(
            f"what {url} gave is not the file that the card means: its {kind} is {found}, not "
            f"{expected}. It was deleted; fetch it again, or correct the card."
        )
