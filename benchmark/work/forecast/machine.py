"""What decides how fast a group trains, beside the group itself."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import torch

import benchmark
from benchmark.records.schema import Environment
from benchmark.strict import Strict
from benchmark.training.keeping.engine import device_name
from benchmark.work.accelerator import wants_bf16
from benchmark.work.environment import processor

# What a step is made of. A change elsewhere leaves the times of a training as they are.
ROOMS = ("data", "networks", "recipe", "training", "work")


class Machine(Strict):
    """A machine with the engine that runs on it; times are compared within equal ones.

    Attributes:
        device, processor: by their names.
        processes, threads: that train one group, and the threads of each.
        precision: of the arithmetic.
        compiled: whether steps are, as it was asked for; None where that pays.
        torch: its version.
        engine: digest of the engine's files.
    """

    device: str
    processor: str
    processes: int
    threads: int
    precision: str
    compiled: bool | None
    torch: str
    engine: str

    @property
    def names_its_device(self) -> bool:
        """Whether the device's name tells its speed, as a GPU's does and ``cpu`` does not."""
        return not self.device.startswith("cpu")

    def is_of(self, environment: Environment, *, compiled: bool) -> bool:
        """Whether a record came from an environment like this, as far as a record tells.

        Args:
            environment: of the record.
            compiled: whether its steps were.
        """
        return (
            (self.compiled is None or self.compiled == compiled)
            and environment.device == self.device
            and environment.processes == self.processes
            and environment.threads == self.threads
            and environment.precision == self.precision
            and _bare(environment.packages.get("torch", "")) == _bare(self.torch)
            and environment.packages.get("kdbench") == benchmark.__version__
        )


def _bare(version: str) -> str:
    """A version without what it was built for."""
    return version.partition("+")[0]


def machine_here(precision: str, threads: int | None, compiled: bool | None) -> Machine:
    """This machine.

    Args:
        precision: ``fp32``, ``bf16`` or ``auto``.
        compiled: whether steps are; None where that pays.
        threads: of each worker; None is torch's own number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Machine(
        device=device_name(device),
        processor=processor(),
        processes=1,
        threads=threads or torch.get_num_threads(),
        precision="bf16" if wants_bf16(precision) else "fp32",
        compiled=compiled,
        torch=torch.__version__,
        engine=_engine(),
    )


@cache
def _engine() -> str:
    package = Path(benchmark.__file__).parent
    files = sorted(path for room in ROOMS for path in (package / room).rglob("*.py"))
    digest = hashlib.sha256(benchmark.__version__.encode())
    for path in files:
        if "forecast" not in path.parts and "speed" not in path.parts:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
