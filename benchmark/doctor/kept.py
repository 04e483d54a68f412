"""Images that are kept decoded, and what else the cache holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark.data.kept import decoded, pixel_files
from benchmark.data.kept.listing import Kept, list_kept
from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.reports.wording.counts import counted
from benchmark.training.answers.files import KIND
from benchmark.training.keeping.heading import Damaged, read_heading
from benchmark.training.keeping.sealed import read_sealed

OLD = ("of an older version", "unfinished")


def images(around: Surroundings) -> Iterator[Finding]:
    """Whether kept images are what was written."""
    kept = list_kept(around.cache_dir)
    files = [path for one in kept if one.kind == "decoded images" for path in _files(one, around)]
    size = sum(one.size_bytes for one in kept)
    yield ok(f"{counted(len(kept), 'entry', 'entries')}, {size / 1e6:,.0f} MB")
    faults = []
    if files:
        with around.listener.progress("looking at kept images", len(files)) as advance:
            for path in files:
                look = pixel_files.fault_of if path.suffix == ".arrow" else decoded.fault_of
                if fault := look(path):
                    faults.append(f"{path}: {fault}")
                advance(1)
    if faults:
        yield Finding(
            Level.warning,
            f"{counted(len(faults), 'file')} of kept images damaged",
            tuple(faults),
            "Nothing: they are never used, and the next run makes them again. If there are more "
            "each time, look at the disk.",
        )
    elif files:
        whole = "of the right form" if around.quick else "as they were written"
        yield ok(f"{counted(len(files), 'file')} of images {whole}")


def outdated(around: Surroundings) -> Iterator[Finding]:
    """What no version of today reads any more."""
    if old := [one for one in list_kept(around.cache_dir) if one.kind in OLD]:
        size = sum(one.size_bytes for one in old) / 1e6
        yield Finding(
            Level.note,
            f"{size:,.0f} MB of older versions of kdbench, which nothing reads",
            tuple(str(one.path) for one in old),
            "Delete them; 'kdbench data cache --clear' deletes all that is kept.",
        )


def outputs(around: Surroundings) -> Iterator[Finding]:
    """Whether what teachers said is what was written."""
    kept = [one for one in list_kept(around.cache_dir) if one.kind == KIND]
    files = [path for one in kept for path in sorted(one.path.glob("*/*.safetensors"))]
    if not files:
        return
    faults = []
    with around.listener.progress("looking at kept teacher outputs", len(files)) as advance:
        for path in files:
            try:
                (read_heading if around.quick else read_sealed)(path, KIND)
            except (OSError, Damaged) as error:
                faults.append(f"{path}: {error}")
            advance(1)
    if faults:
        yield Finding(
            Level.warning,
            f"{counted(len(faults), 'file')} of kept teacher outputs damaged",
            tuple(faults),
            "Nothing: they are never used, and the next run makes them again. If there are more "
            "each time, look at the disk.",
        )
    else:
        size = sum(one.size_bytes for one in kept) / 1e6
        yield ok(f"{counted(len(files), 'file')} of teacher outputs, {size:,.0f} MB")


CHECKS: tuple[Check, ...] = (images, outputs, outdated)


def _files(kept: Kept, around: Surroundings) -> list[Path]:
    """The files of an entry. Those of one size are read whole, which a quick look leaves out."""
    if kept.path.is_dir():
        return sorted(kept.path.glob("*.arrow"))
    return [] if around.quick else [kept.path]
