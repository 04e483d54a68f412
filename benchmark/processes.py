"""The cores that a process may use, and several processes on the CPU.

Those are asked for as ``accelerate launch --num_processes N -m kdbench``. Accelerate starts one
process per GPU, but on the CPU it starts several only through MPI: without it the launcher runs a
single process and says nothing. Where that has happened, this process starts the others itself,
with PyTorch's own launcher and gloo.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

RANKED = ("LOCAL_RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def cores() -> int:
    """The processor's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processes_to_start(environment: Mapping[str, str], launcher: Sequence[str]) -> int:
    """How many processes were asked for and not started; 1 if this one is all.

    Args:
        environment: of this process.
        launcher: the words of the command that started it.
    """
    # What accelerate's single-process launcher sets when several were asked for.
    several = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_PORT" in environment
    if not several or any(name in environment for name in RANKED):
        return 1
    match = re.search(r"--num[_-]processes[= ](\d+)", " ".join(launcher))
    return int(match[1]) if match else 1


def start_all() -> bool:
    """Start what the launcher did not; whether this process has then nothing left to do."""
    if "MASTER_PORT" not in os.environ:
        return False
    import psutil  # only needed under the launcher of accelerate

    count = processes_to_start(os.environ, psutil.Process(os.getppid()).cmdline())
    if count == 1:
        return False
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    for name in ("MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    try:
        run.main(["--standalone", f"--nproc_per_node={count}", "-m", "kdbench", *sys.argv[1:]])
    except ChildFailedError as error:  # it has said itself what is wrong
        sys.exit(error.get_first_failure()[1].exitcode)
    return True
