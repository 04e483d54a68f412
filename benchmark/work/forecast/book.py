"""What is known of groups on a machine: files in the cache, of a pace or a lack of memory each."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

from pydantic import ValidationError

from benchmark.errors import BenchmarkError
from benchmark.files import write_whole
from benchmark.matrix.run import Run
from benchmark.records.canonical import digest
from benchmark.strict import Strict, read_json
from benchmark.work.forecast.machine import Machine
from benchmark.work.forecast.pace import Pace, kind_of

P = TypeVar("P", bound=Strict)
FOLDER = "paces"
CROWDED = "crowded"


class _Page(Strict):
    """What a file holds: the machine too, of which all paces are asked for."""

    machine: Machine
    pace: Pace


class _Crowded(Strict):
    """A kind of group that ran out of so much memory."""

    machine: Machine
    memory_mb: float


class Book:
    """The paces that were trained or measured on this machine by this engine.

    Args:
        cache_dir: they are in folders of it.
        machine: others' are left alone.
    """

    def __init__(self, cache_dir: Path, machine: Machine) -> None:
        self.folder, self.crowded = cache_dir / FOLDER, cache_dir / CROWDED
        self.machine = machine

    def find(self, runs: Sequence[Run]) -> Pace | None:
        """The pace of a group; a file that cannot be read is none."""
        return self._read(self._path(runs))

    def keep(self, runs: Sequence[Run], pace: Pace) -> None:
        """Keep the pace of a group; what was trained is not replaced by what was measured.

        A cache that cannot be written costs the pace and nothing else.
        """
        path = self._path(runs)
        known = self._read(path)
        if known is not None and known.how == "trained" and pace.how == "measured":
            return
        _write(path, _Page(machine=self.machine, pace=pace))

    def ran_short(self, runs: Sequence[Run], memory_mb: float) -> None:
        """Keep that a group ran out of so much memory."""
        most = max(memory_mb, self.short_of(runs))
        _write(self._crowded(runs), _Crowded(machine=self.machine, memory_mb=most))

    def short_of(self, runs: Sequence[Run]) -> float:
        """The most memory, in MB, that is known to be too little for a group; 0 if none is.

        What a group took on a device was needed, and less is too little. On a CPU it is not known
        how much of it was.
        """
        page = _find(self._crowded(runs), _Crowded)
        ran_short = page.memory_mb if page and page.machine == self.machine else 0.0
        known = self.find(runs)
        if known is None or not self.machine.names_its_device:
            return ran_short
        return max(ran_short, known.memory_mb - 1)

    def macs_per_s(self) -> float | None:
        """What this machine does of the arithmetic of a training, as the median of its paces."""
        found = [self._read(path) for path in sorted(self.folder.glob("*.json"))]
        rates = [pace.images_per_s * pace.macs_per_image for pace in found if pace]
        rates = [rate for rate in rates if rate > 0]
        return median(rates) if rates else None

    def name(self, runs: Sequence[Run]) -> str:
        """What a kind of group is kept under; the same for other seeds."""
        return digest({"machine": self.machine.model_dump(), "runs": kind_of(runs)})

    def _path(self, runs: Sequence[Run]) -> Path:
        return self.folder / f"{self.name(runs)}.json"

    def _crowded(self, runs: Sequence[Run]) -> Path:
        return self.crowded / f"{self.name(runs)}.json"

    def _read(self, path: Path) -> Pace | None:
        page = _find(path, _Page)
        return page.pace if page and page.machine == self.machine else None


def _find(path: Path, kind: type[P]) -> P | None:
    """What a file holds; one that cannot be read is none."""
    if not path.exists():
        return None
    try:
        return kind.model_validate(read_json(path, "pace", error=BenchmarkError))
    except (BenchmarkError, ValidationError):
        return None


def _write(path: Path, page: Strict) -> None:
    with contextlib.suppress(OSError):
        write_whole(path, page.model_dump_json(indent=1) + "\n", durable=False)
