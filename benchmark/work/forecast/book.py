"""The paces that are kept: one file each in the cache, of a kind of group on a machine."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pydantic import ValidationError

from benchmark.errors import BenchmarkError
from benchmark.files import write_whole
from benchmark.matrix.run import Run
from benchmark.records.canonical import digest
from benchmark.strict import Strict, read_json
from benchmark.work.forecast.machine import Machine
from benchmark.work.forecast.pace import Pace, kind_of

FOLDER = "paces"


class _Page(Strict):
    """What a file holds: the machine too, of which all paces are asked for."""

    machine: Machine
    pace: Pace


class Book:
    """The paces that were trained or measured on this machine by this engine.

    Args:
        cache_dir: they are in a folder of it.
        machine: others' are left alone.
    """

    def __init__(self, cache_dir: Path, machine: Machine) -> None:
        self.folder, self.machine = cache_dir / FOLDER, machine

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
        text = _Page(machine=self.machine, pace=pace).model_dump_json(indent=1)
        with contextlib.suppress(OSError):
            write_whole(path, text + "\n", durable=False)

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

    def _read(self, path: Path) -> Pace | None:
        if not path.exists():
            return None
        try:
            page = _Page.model_validate(read_json(path, "pace", error=BenchmarkError))
        except (BenchmarkError, ValidationError):
            return None
        return page.pace if page.machine == self.machine else None
