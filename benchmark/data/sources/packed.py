"""Archives of strangers: their files one after the other, within limits, and nothing but files.

A member of an archive says itself what it is called, how large it is and whether it is a link. None
of that is believed: a name must lead below the folder, links and devices are refused, what is read
is counted. Python's own filter for archives let one of them write anywhere until 3.11.13
(CVE-2025-4517), by links; without links there is nothing to filter.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tarfile import HeaderError, ReadError
from typing import BinaryIO, Protocol, Self

from benchmark.cards.card import Card
from benchmark.cards.fields import leads_out
from benchmark.errors import DataError, printable

_BLOCK = 1 << 20
_MOST_LEVELS = 32  # of folders in each other
_MOST_NOTE_BYTES = 1 << 20  # of a long name, which is an entry of its own in a tar file
_LEAST_MEMBERS = 100_000
_MEMBERS_PER_IMAGE = 20  # its folder, its thumbnail, its annotations
_LEAST_BYTES = 8 << 30
_BYTES_PER_IMAGE = 20 << 20
_MOST_FILE_BYTES = 2 << 30  # CUB's attributes are a text file of a hundred megabytes
_MOST_RATIO = 200  # of unpacked to packed; lists of names reach 20, bombs 1,000
_FREE_BYTES = 64 << 20  # for which the ratio is not looked at


class Stream(Protocol):
    """What gives bytes."""

    def read(self, size: int = ..., /) -> bytes:
        """At most so many of the next bytes; all that are left if nothing is said."""
        ...


class Refused(Exception):
    """An archive holds what none of the official ones does."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
        members: files and folders.
        file_bytes: of a single file.
        total_bytes: of all that is unpacked.
    """

    members: int
    file_bytes: int
    total_bytes: int

    @classmethod
    def of(cls, card: Card) -> Limits:
        """Far more than the images that a card counts can need."""
        images = sum(card.splits.values())
        return cls(
            members=max(_LEAST_MEMBERS, _MEMBERS_PER_IMAGE * images),
            file_bytes=_MOST_FILE_BYTES,
            total_bytes=max(_LEAST_BYTES, _BYTES_PER_IMAGE * images),
        )


@dataclass(frozen=True)
class Member:
    """A file or a folder of an archive.

    Attributes:
        parts: of its path; at least one, none of which leads out.
        content: of a file, at most as long as the limits allow; None for a folder.
    """

    parts: tuple[str, ...]
    content: Stream | None


@contextlib.contextmanager
def explained(archive: Path) -> Iterator[None]:
    """Turn whatever an archive does to its reader into what is wrong with it and what to do.

    Raises:
        DataError: it is damaged, or refused.
    """
    try:
        yield
    except Refused as error:
        raise DataError(
            f"{archive} is refused: {printable(str(error))}. The official archive has none such. "
            "Fetch it again from its source, or unpack it yourself if you trust it."
        ) from None
    except (
        tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError,
        gzip.BadGzipFile, NotImplementedError, ValueError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        size = archive.stat().st_size if archive.exists() else 0
        raise DataError(
            f"{archive} ({size:,} bytes) is damaged or was not downloaded to its end: "
            f"{printable(str(error))}. Fetch it again."
        ) from None


def check_sum(archive: Path, file: BinaryIO, card: Card) -> None:
    """Compare an archive with the checksum that its card knows, if it knows one.

    Raises:
        Refused: it is another file.
    """
    for download in card.downloads:
        if download.file == archive.name:
            kind, _, expected = download.checksum.partition(":")
            digest = hashlib.new(kind, usedforsecurity=False)
            while block := file.read(_BLOCK):
                digest.update(block)
            file.seek(0)
            found = digest.hexdigest()
            if found != expected:
                raise Refused(f"its {kind} is {found}, the card says {expected}")


def members(file: BinaryIO, limits: Limits) -> Iterator[Member]:
    """The members of a tar or zip file in their order; each is read before the next is asked for.

    Args:
        file: of the archive, at its beginning.
        limits: of what it may hold.

    Raises:
        Refused: a member is no file and no folder, leads out of its folder, or is too large, or
            there are too many.
    """
    start = file.read(8)
    packed_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    most = min(limits.total_bytes, max(_FREE_BYTES, _MOST_RATIO * packed_bytes))
    kind = _zip_members if start.startswith(b"PK") else _tar_members
    for number, member in enumerate(kind(file, start, limits, most), 1):
        if number > limits.members:
            raise Refused(f"it holds more than {limits.members:,} files and folders")
        yield member


def _tar_members(file: BinaryIO, start: bytes, limits: Limits, most: int) -> Iterator[Member]:
    counted = _Counted(_decompressed(file, start), most)
    with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Careful) as tar:
        for entry in tar:
            if entry.issparse():
                raise Refused(f"'{entry.name}' has holes")
            _check_size(entry.name, entry.size, limits)
            parts = _parts(entry.name)
            if entry.isdir():
                if parts:
                    yield Member(parts, None)
                continue
            content = tar.extractfile(entry)
            if content is None or not parts:
                raise Refused(f"'{entry.name}' is no file")
            yield Member(parts, content)
    # What stands at the end of a compressed file tells whether all before it was right.
    while counted.read(_BLOCK):
        pass


def _zip_members(file: BinaryIO, start: bytes, limits: Limits, most: int) -> Iterator[Member]:
    with zipfile.ZipFile(file) as packed:
        entries = packed.infolist()
        if sum(entry.file_size for entry in entries) > most:
            raise Refused(f"unpacked it has more than {most:,} bytes")
        for entry in entries:
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Refused(f"'{entry.filename}' is a link or a device")
            if entry.flag_bits & 1:
                raise Refused(f"'{entry.filename}' is encrypted")
            _check_size(entry.filename, entry.file_size, limits)
            parts = _parts(entry.filename)
            if entry.filename.endswith("/"):
                if parts:
                    yield Member(parts, None)
                continue
            if not parts:
                raise Refused(f"'{entry.filename}' is no file")
            with packed.open(entry) as content:
                yield Member(parts, _Counted(content, entry.file_size))


def _decompressed(file: BinaryIO, start: bytes) -> Stream:
    """The tar file in a file that may be compressed."""
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file)
    return file


def _check_size(name: str, size: int, limits: Limits) -> None:
    if not 0 <= size <= limits.file_bytes:
        raise Refused(f"'{name}' has more than {limits.file_bytes:,} bytes")


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a member's path; none for the archive's own folder."""
    if name.rstrip("/") in ("", "."):
        return ()
    parts = PurePosixPath(name).parts
    if leads_out(name) or len(parts) > _MOST_LEVELS:
        raise Refused(f"'{name[:200]}' would be written outside its folder")
    return parts


class _Counted(io.RawIOBase):
    """A stream of which only so many bytes are read."""

    def __init__(self, stream: Stream, most: int) -> None:
        self._stream, self._left, self._most = stream, most, most

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            size = self._left + 1
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise Refused(f"unpacked it has more than {self._most:,} bytes")
        return block


class _Careful(tarfile.TarInfo):
    """Entries of a tar file; one that is not right is an error and never the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """One header; what it announces is looked at before it is read into the memory."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in _NOTES:
            if entry.size > _MOST_NOTE_BYTES:
                raise Refused(f"a note in it has {entry.size:,} bytes")
        elif entry.type not in _TAKEN:
            raise Refused(f"'{entry.name}' is a link or a device")
        return entry

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """The next entry; tarfile itself takes a damaged one for the archive's end."""
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise ReadError(str(error)) from None


_TAKEN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE)
_NOTES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
