"""What a layout gives: the files of each split with their labels; and the checks all layouts share.

Nothing here opens an image or imports torch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from benchmark.cards.fields import SPLITS, SplitName, leads_out
from benchmark.errors import DataError, ManyFaults, printable
from benchmark.strict import read_text

IMAGE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""Endings of the files that count as images, in lower case."""
MOST_LIST_BYTES = 1 << 30  # of a list of images; ten million lines
_MOST_DIGITS = 18
_TABLES = frozenset((".csv", ".mat", ".txt"))


@dataclass(frozen=True)
class Listing:
    """The images of a data set, none of them opened.

    Attributes:
        items: by split, files and their labels 0 … K-1.
        class_names: by label.
    """

    items: Mapping[SplitName, Sequence[tuple[Path, int]]]
    class_names: tuple[str, ...]

    def fingerprint(self, root: Path) -> str:
        """Sixteen hexadecimal digits that change with the list of files, a label or a size.

        Args:
            root: folder from which the files are named.

        Raises:
            DataError: a file is missing or empty.
        """
        digest = hashlib.sha256()
        for split in SPLITS:
            for path, label in self.items[split]:
                name = path.relative_to(root).as_posix()
                digest.update(f"{split}\t{label}\t{name}\t{_size(path)}\n".encode())
        return digest.hexdigest()[:16]

    def stamps(self) -> tuple[str]:
        """What tells one version of the files from another, wherever they lie."""
        paths = [path for split in SPLITS for path, _ in self.items[split]]
        return (self.fingerprint(Path(os.path.commonpath(paths))),)

    def check_files(self, place: str) -> None:
        """Refuse a folder that is not whole.

        Args:
            place: names the folder.

        Raises:
            ManyFaults: files are missing or empty; all of them.
        """
        paths = [path for split in SPLITS for path, _ in self.items[split]]
        if absent := [path for path in paths if _size(path) == 0]:
            raise ManyFaults(
                f"{place}: {len(absent):,} of {len(paths):,} images are not there or are empty:",
                [f"{p} is {'empty' if p.is_file() else 'missing'}" for p in absent],
                "The download or the unpacking stopped half-way: unpack or copy the files again.",
            )


@dataclass(frozen=True)
class Places:
    """Folders that together hold a data set: usually one, several where archives lie apart.

    Attributes:
        roots: the folders; the first is named in messages.
        table: the list of images that lies elsewhere, beside the card.
    """

    roots: tuple[Path, ...]
    table: Path | None = None

    def find(self, *names: str) -> Path | None:
        """The first of these paths that exists, in the order of the folders."""
        return next((r / name for r in self.roots for name in names if (r / name).exists()), None)

    def need(self, *names: str) -> Path:
        """The same, which must exist.

        Raises:
            DataError: none of them does; says what was wanted and what is there instead.
        """
        found = self.find(*names)
        if found is None:
            there = sorted(path.name for path in self.roots[0].iterdir())
            more = ", …" if len(there) > 8 else ""
            raise DataError(
                f"{self} has no {' or '.join(names)}; it holds {', '.join(there[:8]) or 'nothing'}"
                f"{more}. Unpack the archive again, or copy what is missing there."
            )
        return found

    @property
    def tables(self) -> tuple[Path, ...]:
        """The files beside the images that say which is which, near the top of the folders."""
        near = (
            path for root in self.roots for glob in ("*", "*/*") for path in sorted(root.glob(glob))
        )
        found = (path for path in near if path.suffix in _TABLES and path.is_file())
        return (*found, *((self.table,) if self.table else ()))

    def __str__(self) -> str:
        return str(self.roots[0])


@dataclass(frozen=True)
class Layout:
    """A way in which images and labels lie in a folder.

    Attributes:
        name: as a card writes it.
        about: one line for a person.
        marks: paths of which a folder in this layout has at least one.
        read: lists the images; raises ``DataError`` for what is not as it should be.
        options: those that it takes, each with its allowed values; the first is the default, and
            with one alone any is allowed.
    """

    name: str
    about: str
    marks: tuple[str, ...]
    read: Callable[[Places, Mapping[str, str]], Listing]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def is_in(self, folder: Path) -> bool:
        """Whether a folder looks like this layout."""
        return Places((folder,)).find(*self.marks) is not None

    def option(self, options: Mapping[str, str], name: str) -> str:
        """The value of an option, or its default."""
        return options.get(name, self.options[name][0])


def inside(folder: Path, name: str, place: str) -> Path:
    """A file that a list names, which must lie in the folder.

    Args:
        folder: of the images.
        name: path as the list has it, with slashes.
        place: file and line of the list, for the message.

    Raises:
        DataError: the path is empty, absolute, or leads out of the folder.
    """
    path = name.replace("\\", "/")
    if leads_out(path):
        raise DataError(
            f"{place}: the path '{printable(name[:200])}' leaves the folder {folder}. Paths must "
            "be relative to it and without '..'; correct the list, and trust no other line of it "
            "unseen."
        )
    return folder / PurePosixPath(path)


def from_one(label: str, classes: int, place: str) -> int:
    """A label that a list counts from 1, counted from 0.

    Raises:
        DataError: it is no number in 1 … K.
    """
    if not is_number(label) or not 1 <= int(label) <= classes:
        written = printable(label[:200])
        raise DataError(
            f"{place}: the label is '{written}', but this layout counts the {classes} classes from "
            f"1 to {classes}. The file was changed or belongs to another version of the archive."
        )
    return int(label) - 1


def is_number(text: str) -> bool:
    """Whether a text of a list is a whole number, and not one without measure."""
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without empty ones at its end.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        return read_text(path, most_bytes=MOST_LIST_BYTES).rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. Unpack or write it again.") from None


def _size(path: Path) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
