"""With what a matrix is trained: the folders, the device, the workers and where they are."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.errors import UnknownName, UsageError
from benchmark.launch.launcher import Launcher
from benchmark.processes import RANKED, cores
from benchmark.training.answers.keep import DTYPES, Exactness, Keep
from benchmark.training.halt import Halt
from benchmark.work.place import Site

# By launcher, its own options as the command line names them.
LAUNCHERS: Mapping[str, frozenset[str]] = {
    "local": frozenset(),
    "ray": frozenset({"ray-address", "gpus-per-worker", "cpus-per-worker"}),
    "slurm": frozenset(
        {"gpus-per-worker", "cpus-per-worker", "detach"}
        | {
            f"slurm-{name}"
            for name in ("partition", "time", "account", "qos", "constraint", "setup")
        }
    ),
}


@dataclass(frozen=True)
class Means:
    """With what a matrix is trained.

    Attributes:
        cache_dir: for decoded and drawn images.
        data_dir: local folder that is looked at before anything is downloaded.
        precision: ``fp32``, ``bf16``, or ``auto``.
        minutes: stop at a checkpoint when this time is up; None means never.
        launcher: where the workers are: one of ``LAUNCHERS``.
        workers: processes that train one group each; None is one a GPU, or one on the CPU; 0
            trains in this process, which then ends with what it trains.
        threads: of the CPU for each worker; None shares the cores out.
        memory_gb: what a worker may allocate; None means any.
        compiled: whether steps are compiled; None where that pays.
        checkpoint_minutes: between two checkpoints.
        limit_minutes: of training that a run may take; None means any.
        keeps: how exactly what teachers say is kept for later runs; None keeps nothing.
        track: trackers of experiments, as accelerate has them.
        track_to: folder of those that write files here.
        options: of the launcher, by their names on the command line.
    """

    cache_dir: Path
    data_dir: Path | None = None
    precision: str = "fp32"
    minutes: float | None = None
    launcher: str = "local"
    workers: int | None = 0
    threads: int | None = None
    memory_gb: float | None = None
    compiled: bool | None = None
    checkpoint_minutes: float = 1.0
    limit_minutes: float | None = None
    keeps: Exactness | None = None
    track: tuple[str, ...] = ()
    track_to: Path = Path("tracking")
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is wrong before anything is planned.

        Raises:
            UnknownName: there is no such launcher.
            UsageError: an option is another launcher's, or a number is none.
        """
        if self.launcher not in LAUNCHERS:
            raise UnknownName("launcher", self.launcher, LAUNCHERS)
        for option in sorted(set(self.options) - LAUNCHERS[self.launcher]):
            takers = [name for name, options in LAUNCHERS.items() if option in options]
            raise UsageError(
                f"--{option} is not for --launcher {self.launcher}"
                + (f", but for {' and '.join(takers)}." if takers else ".")
            )
        if self.keeps is not None and self.keeps not in DTYPES:
            raise UsageError(f"teacher outputs are kept in fp32 or fp16, not in {self.keeps!r}.")
        for option, value, least in (
            ("minutes", self.minutes, 0.0),
            ("checkpoint-minutes", self.checkpoint_minutes, 0.0),
            ("memory-per-worker", self.memory_gb, 0.1),
            ("time-limit", self.limit_minutes, 0.001),
        ):
            if value is not None and not least <= value < math.inf:
                raise UsageError(
                    f"--{option} {value:g}: write a number that is at least {least:g}, or leave "
                    "it out."
                )

    @property
    def tells(self) -> tuple[str, ...]:
        """The trackers that this process tells; jobs of a cluster tell theirs."""
        return () if self.launcher == "slurm" else self.track

    @property
    def keep(self) -> Keep | None:
        """Where and how what teachers say is kept; None keeps nothing."""
        return Keep(self.cache_dir, self.keeps) if self.keeps else None

    def site(self, runs: Path, *, workers: int) -> Site:
        """What the places of so many workers of this machine are made of."""
        threads = self.threads
        if threads is None and workers > 1:
            threads = max(1, cores() // workers)
        return Site(
            runs=runs,
            data_dir=self.data_dir,
            cache_dir=self.cache_dir,
            precision=self.precision,
            threads=threads,
            deadline=None if self.minutes is None else time.monotonic() + 60 * self.minutes,
            checkpoint_s=60 * self.checkpoint_minutes,
            limit_s=None if self.limit_minutes is None else 60 * self.limit_minutes,
            memory_gb=self.memory_gb,
            compiled=self.compiled,
            keeps=self.keeps,
        )


def make_launcher(means: Means, runs: Path) -> Launcher:
    """The launcher that was chosen.

    Args:
        means: what was chosen.
        runs: folder of checkpoints and weights.

    Raises:
        UsageError: what it needs is not installed, or an option does not fit.
    """
    if means.launcher == "ray":
        from benchmark.launch.ray.launcher import make_ray_launcher

        return make_ray_launcher(means.site(runs, workers=1), means.workers or 0, means.options)
    together = any(name in os.environ for name in RANKED)  # started by 'accelerate launch'
    if means.workers == 0 or together:
        from benchmark.launch.workers.inline import Inline

        place = means.site(runs, workers=1).place()
        return Inline(1, place.halt, place)
    from benchmark.launch.workers.pool import Pool, visible_gpus

    gpus = visible_gpus()
    workers = means.workers or max(1, len(gpus))
    site = means.site(runs, workers=workers)
    return Pool(workers, Halt(site.deadline), site, gpus)


def slots_of(means: Means) -> int:
    """How many groups are trained at once, as far as this machine can tell."""
    if means.launcher != "local" or means.workers is not None:
        return max(1, means.workers or 0)
    from benchmark.launch.workers.pool import visible_gpus

    return max(1, len(visible_gpus()))
