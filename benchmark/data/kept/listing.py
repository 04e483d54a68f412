"""All that is kept below the cache folder, of every version and size.

Nothing deletes what belongs to older versions by itself: this tells what there is.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError

_SHARED = {"unpacked/*": "unpacked archive", "arrow/*/*": "of an older version"}
_OF_A_DATA_SET = {
    ".safetensors": "decoded images",
    ".images": "decoded images",
    ".answers": "teacher outputs",
    ".tmp": "unfinished",  # as older versions called it
    ".partial": "unfinished",
    # Files of pixels with a journal, which nothing reads any more.
    ".pixels": "of an older version",
    ".journal": "of an older version",
}


@dataclass(frozen=True)
class Kept:
    """A file or a folder of what is kept.

    Attributes:
        dataset: name of the card that it was made for; empty where it is shared or of no card.
        kind: what it is, for a person.
        size_bytes: on the disk.
        changed: when, in seconds since 1970.
    """

    path: Path
    dataset: str
    kind: str
    size_bytes: int
    changed: float

    def delete(self) -> None:
        """Take it away; it is made again when it is needed.

        Raises:
            DataError: it cannot be deleted.
        """
        try:
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"cannot delete {self.path}: {error.strerror}.") from None


def list_kept(cache_dir: Path) -> list[Kept]:
    """All that is kept, the largest first."""
    found = []
    for path, dataset, kind in _entries(cache_dir):
        with contextlib.suppress(FileNotFoundError):  # another process moved it meanwhile
            files = [path, *path.rglob("*")] if path.is_dir() else [path]
            states = [file.stat() for file in files]
            size = sum(state.st_size for file, state in zip(files, states, strict=True)
                       if file.is_file())  # fmt: skip
            found.append(Kept(path, dataset, kind, size, max(s.st_mtime for s in states)))
    return sorted(found, key=lambda kept: (-kept.size_bytes, kept.path))


def _entries(cache_dir: Path) -> Iterator[tuple[Path, str, str]]:
    """Path, data set and kind of what is kept; nothing that somebody else may have put there."""
    for path in cache_dir.glob("recipes-*.json"):
        yield path, "", "index of recipes"
    for path in cache_dir.glob("networks-*.json"):
        yield path, "", "index of networks"
    for pattern, kind in _SHARED.items():
        for path in cache_dir.glob(pattern):
            if path.is_dir():
                yield path, "", kind
    for path in cache_dir.glob("*/*"):
        if path.suffix in _OF_A_DATA_SET:
            yield path, path.parent.name, _OF_A_DATA_SET[path.suffix]
