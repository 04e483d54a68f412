"""What runs on a node: takes one piece of work, has a process of its own do it, tells of it.

The agent is a Ray task. It trains nothing itself, so that whatever ends the process that trains is
seen here, and said as it is on one machine; if the agent goes, its node is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import os
import pickle
import platform
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import ray

from benchmark.errors import BenchmarkError, TrainingError
from benchmark.folders import PACKAGE, cache_folder
from benchmark.launch.launcher import Ended, Heard, Message, Refused, Work
from benchmark.launch.ray.parcels import Changes, Mirror, moved, unpack
from benchmark.training.halt import Halt
from benchmark.work.environment import PACKAGES
from benchmark.work.place import Site
from benchmark.work.train import GroupSpec

LOOK_S = 0.2  # how often the agent asks whether all shall stop

Told = Heard | Changes | Message


@dataclass(frozen=True)
class Errand:
    """A piece of work, packed for a node.

    Attributes:
        number: of the work.
        work: pickled: it is read only where the versions are the same.
        site: what the place is made of; its folders of runs and cache are the node's own.
        left_s: time until the deadline; the clocks of two machines have nothing in common.
        versions: of the driver.
        variables: of the environment, that the node shall have too.
        gpus: whether it may see a GPU.
    """

    number: int
    work: bytes
    site: Site
    left_s: float | None
    versions: Mapping[str, str]
    variables: Mapping[str, str]
    gpus: bool


class Flag:
    """An actor beside the driver: tells all agents when to stop."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    async def ask(self) -> None:
        """Let all stop."""
        self._asked.set()

    async def wait(self) -> None:
        """Come back when all shall stop."""
        await self._asked.wait()


def attend(
    errand: Errand, files: Mapping[str, Sequence[tuple[str, Any]]], flag: Any
) -> Iterator[list[Told]]:
    """Do an errand; the function of the Ray task.

    Args:
        errand: what to do.
        files: references to contents of files, by folder and name: ``code``, ``brought``, ``runs``.
        flag: the actor that tells when to stop.

    Yields:
        What the work tells and writes, some at a time, and at the end one message of how it ended.
    """
    here = versions()
    if here != dict(errand.versions):
        yield [Refused(errand.number, TrainingError(difference(errand.versions, here)))]
        return
    os.environ.update(errand.variables)
    os.environ.pop("KDBENCH_PATH", None)  # those folders are among the files
    with tempfile.TemporaryDirectory(prefix="kdbench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for kind, parts in files.items():
            contents = ray.get([reference for _, reference in parts])
            unpack(dict(zip((part for part, _ in parts), contents, strict=True)), folder / kind)
        work: Work = pickle.loads(errand.work)
        if isinstance(work, GroupSpec):
            work = moved(work, folder / "code", folder / "brought")
        deadline = None if errand.left_s is None else time.monotonic() + errand.left_s
        site = replace(
            errand.site, runs=folder / "runs", cache_dir=cache_folder(), deadline=deadline
        )
        try:
            yield from _do(errand, work, site, flag)
        except BenchmarkError as error:
            yield [Refused(errand.number, error)]


def _do(errand: Errand, work: Work, site: Site, flag: Any) -> Iterator[list[Told]]:
    from benchmark.launch.workers.pool import Pool  # imports torch

    heard: list[Heard] = []
    mirror = Mirror(site.runs)
    pool = Pool(1, Halt(site.deadline), site, _gpus() if errand.gpus else ("",))
    pool.hear = heard.append
    stop = [flag.wait.remote()]
    with pool:
        pool.start(errand.number, work)
        while pool.busy:
            messages = [_from_here(message) for message in pool.wait(LOOK_S)]
            if heard or messages:
                yield [mirror.changes(), *heard, *messages]  # files before they are spoken of
            heard.clear()
            if stop and ray.wait(stop, timeout=0)[0]:
                stop.clear()
                pool.stop()


def _from_here(message: Message) -> Message:
    """The message, with the name of this machine where something went wrong on it."""
    match message:
        case Refused(error=error):
            error.args = (f"{error}\n(On {socket.gethostname()}.)",)
        case Ended():
            pass
        case _:
            return replace(message, reason=f"on {socket.gethostname()} {message.reason}")
    return message


def _gpus() -> tuple[str, ...]:
    """The GPUs that Ray gave to this task."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return tuple(name.strip() for name in names if name.strip()) or ("",)


@cache
def versions() -> dict[str, str]:
    """What must be the same where a matrix is planned and where it is trained."""
    code = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        code.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    found = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "the code of kdbench": code.hexdigest()[:12],
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def difference(driver: Mapping[str, str], node: Mapping[str, str]) -> str:
    """Which versions of a node are not the driver's, for a person."""
    lines = [
        f"{name} {node.get(name)} instead of {version}"
        for name, version in driver.items()
        if node.get(name) != version
    ]
    return (
        f"the node {socket.gethostname()} has other versions than this machine: "
        f"{', '.join(lines)}.\nNumbers would differ: install the same versions on all nodes."
    )
