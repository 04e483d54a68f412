"""The Hugging Face hub: its cache on this machine and, if that is asked for, its address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import CacheNotFound, constants, scan_cache_dir

from benchmark import hub
from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.errors import first_line
from benchmark.reports.wording.counts import counted

FLAGS = (hub.OFFLINE, "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


def cache(_: Surroundings) -> Iterator[Finding]:
    """What the hub's cache holds, and whether it is whole."""
    folder = Path(constants.HF_HUB_CACHE)
    try:
        held = scan_cache_dir(folder)
    except CacheNotFound:
        yield ok(f"nothing fetched yet; it will lie in {folder}")
        return
    size = held.size_on_disk / 1e9
    yield ok(f"{counted(len(held.repos), 'repository', 'repositories')}, {size:.1f} GB in {folder}")
    if held.warnings:
        yield Finding(
            Level.warning,
            f"{counted(len(held.warnings), 'part')} of the hub's cache cannot be used",
            tuple(first_line(fault) for fault in held.warnings),
            "Delete the folders named; what is needed of them is fetched again.",
        )
    if left := sorted(folder.glob("*/blobs/*.incomplete")):
        yield Finding(
            Level.note,
            f"{counted(len(left), 'download')} not finished",
            tuple(map(str, left)),
            "Repeat 'kdbench data fetch', which goes on with them, or delete the files.",
        )


def flags(_: Surroundings) -> Iterator[Finding]:
    """Whether the environment forbids connections."""
    if told := [f"{name}={os.environ[name]}" for name in FLAGS if os.environ.get(name)]:
        yield Finding(
            Level.note,
            "the environment forbids connections: nothing is fetched",
            tuple(told),
            f"Nothing, if that is what you want; 'unset {told[0].partition('=')[0]}' allows them.",
        )


def address(around: Surroundings) -> Iterator[Finding]:
    """Whether the hub answers; asked only where a connection was asked for."""
    if not around.network:
        return
    if hub.reachable():
        yield ok(f"{hub.endpoint()} answers")
    else:
        reason = "connections are forbidden" if hub.offline() else "it does not answer"
        yield Finding(
            Level.warning,
            f"the hub cannot be asked: {reason}",
            (hub.endpoint(),),
            "Look at the connection, HTTPS_PROXY and HF_ENDPOINT. Without it, everything works "
            "that is in the cache or in --data; 'kdbench data fetch NAME --to DIR' on another "
            "machine brings the rest.",
        )


CHECKS: tuple[Check, ...] = (cache, flags, address)
