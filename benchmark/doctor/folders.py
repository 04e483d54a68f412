"""The folders that are written: whether they can be, how much room there is, and their manners."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from huggingface_hub import constants

from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.files import left_over, probe, sweep, unheard_of
from benchmark.reports.wording.counts import counted

GB = 1e9
NO_ROOM, LITTLE_ROOM = 0.1 * GB, 2 * GB
FEW_FILES = 10_000  # of those that a file system can still hold
SKEW_S = 5.0  # a sign of a claim is as old


@dataclass(frozen=True)
class Manners:
    """What a file system does, as found by trying.

    Attributes:
        replaces: whether a file takes the place of another one by its name.
        links: whether a file can have two names.
        folds_case: whether it takes ``a`` and ``A`` for one name.
        skew_s: by how much its clock is ahead of this machine's.
    """

    replaces: bool
    links: bool
    folds_case: bool
    skew_s: float


def written(around: Surroundings) -> Iterator[Finding]:
    """Every folder in which something is written."""
    for name, folder, option in (
        ("runs", around.runs, "--runs"),
        ("results", around.results, "--results"),
        ("cache", around.cache_dir, "KDBENCH_CACHE"),
        ("hub cache", Path(constants.HF_HUB_CACHE), "HF_HOME"),
    ):
        yield from _looked_at(name, folder.absolute(), option)


def data(around: Surroundings) -> Iterator[Finding]:
    """The folder with data of one's own, which is only read."""
    folder = around.data_dir
    if folder is None:
        return
    try:
        inside = len(os.listdir(folder))
    except OSError as error:
        yield Finding(
            Level.fault,
            f"the data folder cannot be read: {error.strerror}",
            (str(folder),),
            "Correct --data or KDBENCH_DATA.",
        )
        return
    yield ok(f"data: {counted(inside, 'entry', 'entries')} in {folder}")


def debris(around: Surroundings) -> Iterator[Finding]:
    """What dead processes left half written."""
    for folder in (around.runs, around.results, around.cache_dir):
        if files := sorted(left_over(folder)):
            yield Finding(
                Level.note,
                f"{counted(len(files), 'unfinished file')} of dead processes",
                tuple(map(str, files)),
                "'kdbench doctor --fix' removes them.",
                repair=partial(_swept, folder),
            )


CHECKS: tuple[Check, ...] = (written, data, debris)


def manners(folder: Path) -> Manners:
    """Try what a file system does, with files that are gone afterwards.

    Raises:
        OSError: nothing can be written there.
    """
    one, other, third = (folder / unheard_of("probe") for _ in range(3))
    try:
        before = time.time()
        for path in (one, other):
            path.write_bytes(b"1")
        after = time.time()
        written_at = one.stat().st_mtime
        skew = max(0.0, written_at - after) - max(0.0, before - written_at)
        links = replaces = False
        with contextlib.suppress(OSError):
            os.link(one, third)
            links = third.stat().st_nlink == 2
        with contextlib.suppress(OSError):
            os.replace(one, other)
            replaces = not one.exists() and other.exists()
        folds = other.with_name(other.name.upper()).exists()
        return Manners(replaces, links, folds, skew)
    finally:
        for path in (one, other, third):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _looked_at(name: str, folder: Path, option: str) -> Iterator[Finding]:
    # A look makes no folders: of one that is not there yet, the one above tells.
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, f"{there} is not a folder")
        probe(there)
        has = manners(there)
    except OSError as error:
        yield Finding(
            Level.fault,
            f"{name}: nothing can be written there: {error.strerror or error}",
            (str(folder),),
            f"Correct its permissions, or choose another folder with {option}.",
        )
        return
    room, files = shutil.disk_usage(there).free, _files_left(there)
    new = "" if there == folder else ", made by the first run"
    yield ok(f"{name}: {room / GB:,.1f} GB free ({_kind(there)}{new})")
    if room < LITTLE_ROOM:
        yield Finding(
            Level.fault if room < NO_ROOM else Level.warning,
            f"{name}: only {room / 1e6:,.0f} MB are free",
            (str(folder),),
            f"Free some space ('kdbench data cache' lists what is kept), or choose another folder "
            f"with {option}.",
        )
    if files is not None and files < FEW_FILES:
        yield Finding(
            Level.warning,
            f"{name}: the file system can hold only {files:,} more files",
            (str(folder),),
            f"Delete small files ('df -i' shows it), or choose another folder with {option}.",
        )
    yield from _ill_mannered(name, folder, has, option)


def _ill_mannered(name: str, folder: Path, has: Manners, option: str) -> Iterator[Finding]:
    if not has.replaces:
        yield Finding(
            Level.fault,
            f"{name}: the file system cannot replace a file by another one",
            (str(folder),),
            f"Choose a folder on another disk with {option}: no file could be written whole.",
        )
    if name == "runs" and not has.links:
        yield Finding(
            Level.note,
            "runs: the file system has no hard links; claims are made in a slower way",
            (str(folder),),
            f"Nothing on one machine. Several need a file system with links: {option}.",
        )
    if name == "results" and has.folds_case:
        yield Finding(
            Level.warning,
            "results: the file system takes names in upper and lower case for the same",
            (str(folder),),
            "Let no two recipes or data sets differ in case alone.",
        )
    if abs(has.skew_s) > SKEW_S:
        word = "ahead of" if has.skew_s > 0 else "behind"
        yield Finding(
            Level.warning,
            f"{name}: the file server's clock is {abs(has.skew_s):,.0f} s {word} this machine's",
            (str(folder),),
            "Set both by NTP. No result depends on it; ages that 'status' shows are wrong by it.",
        )


def _swept(folder: Path) -> list[str]:
    return [f"removed {path}" for path in sweep(folder)]


def _files_left(folder: Path) -> int | None:
    """How many files more a file system can hold; None if it has no such limit, or does not say."""
    if not hasattr(os, "statvfs"):
        return None
    state = os.statvfs(folder)
    return state.f_favail if state.f_files else None


def _kind(folder: Path) -> str:
    """The kind of the file system that a folder is on: ``ext4``, ``nfs4``."""
    real = folder.resolve()
    on = [part for part in psutil.disk_partitions(all=True) if real.is_relative_to(part.mountpoint)]
    return max(on, key=lambda part: len(part.mountpoint)).fstype if on else "unknown file system"
