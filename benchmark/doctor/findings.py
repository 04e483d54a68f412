"""What a look at one thing gives: how grave it is, what, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.events import Listener
from benchmark.records.store import Contents, Store


class Level(StrEnum):
    """How grave a finding is, from nothing to what must be mended."""

    ok = "ok"
    note = "note"
    warning = "warning"
    fault = "fault"


Repair = Callable[[], Iterable[str]]
"""Mends what can be mended without loss, and says each thing that it did."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: how grave it is.
        what: in a sentence without its full stop.
        where: files, folders, packages or devices, each with its own reason if there is one.
        remedy: what to do, in sentences; empty for what is fine.
        repair: what ``--fix`` does about it; None if that is a person's to do.
        part: of the body that was looked at; who looks need not say it.
        done: what was mended; it then counts no more as a fault.
    """

    level: Level
    what: str
    where: tuple[str, ...] = ()
    remedy: str = ""
    repair: Repair | None = field(default=None, compare=False)
    part: str = ""
    done: tuple[str, ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether something must still be mended."""
        return self.level is Level.fault and not self.done

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "part": self.part,
            "level": self.level.value,
            "what": self.what,
            "where": list(self.where),
            "remedy": self.remedy,
            "can_be_fixed": self.repair is not None,
            "done": list(self.done),
        }


def ok(what: str) -> Finding:
    """Something is as it should be."""
    return Finding(Level.ok, what)


@dataclass(frozen=True)
class Surroundings:
    """Where is looked, and how closely.

    Attributes:
        runs: folder of checkpoints and weights.
        results: folder of the records.
        cache_dir: for decoded and drawn images.
        data_dir: folder that is looked at before anything is fetched.
        paths: folders given by ``--path``.
        quick: whether large files are not read, only what they say of themselves.
        network: whether a connection may be made.
        listener: hears of the progress.
    """

    runs: Path
    results: Path
    cache_dir: Path
    data_dir: Path | None = None
    paths: tuple[Path, ...] = ()
    quick: bool = False
    network: bool = False
    listener: Listener = field(default_factory=Listener)

    @cached_property
    def held(self) -> Contents:
        """All records, read once for the whole look."""
        return Store(self.results).all()


Check = Callable[[Surroundings], Iterable[Finding]]
"""Looks at one thing. It changes nothing: repairs are left to whoever was told of them."""
