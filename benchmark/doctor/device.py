"""What computes: GPUs and their driver, the processor, the memory, and what limits them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.errors import first_line
from benchmark.launch.workers.pool import memory_kills
from benchmark.processes import cores
from benchmark.reports.wording.counts import counted
from benchmark.work.accelerator import has_bf16

GB = 2**30
LEAST_MEMORY = 2 * GB  # torch with one worker of data takes about one
LEAST_SHARED = GB // 2  # Docker gives 64 MB, in which workers of data end in bus errors
LEAST_FILES = 1024  # every process holds the files of kept images open, 128 a split
ASKED = "name,driver_version,memory.total,memory.used"  # of nvidia-smi, which takes no memory


def gpus(_: Surroundings) -> Iterator[Finding]:
    """The GPUs, and whether this torch can use them."""
    seen = _nvidia()
    if not torch.cuda.is_available():
        if not seen:
            yield ok("no GPU: everything is computed by the CPU")
            return
        built = torch.version.cuda
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        yield Finding(
            Level.fault,
            "there are GPUs, and this torch cannot use them: "
            + (f"it is built for CUDA {built}" if built else "it is built without CUDA"),
            tuple(seen),
            f"CUDA_VISIBLE_DEVICES={hidden} hides them: unset it."
            if hidden is not None and hidden.strip() in ("", "-1")
            else "Install a newer driver, or a torch for this one's CUDA ('nvidia-smi' names it): "
            "see https://pytorch.org/get-started/locally.",
        )
        return
    count = torch.cuda.device_count()
    names = sorted({torch.cuda.get_device_name(number) for number in range(count)})
    driver = "; ".join(seen) or ", ".join(names)
    yield ok(f"{counted(count, 'GPU')} with CUDA {torch.version.cuda}: {driver}")
    built_for = torch.cuda.get_arch_list()
    for number in range(count):
        major, minor = torch.cuda.get_device_capability(number)
        if not _computes(built_for, major, minor):
            yield Finding(
                Level.fault,
                f"torch {torch.__version__} has no code for {torch.cuda.get_device_name(number)} "
                f"(sm_{major}{minor})",
                (f"GPU {number}",),
                f"Install a torch that has; this one has {', '.join(built_for)}.",
            )


def processor(_: Surroundings) -> Iterator[Finding]:
    """Cores, threads, and the units that make them fast."""
    free, threads = cores(), torch.get_num_threads()
    can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    units = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if can.get(name)]
    half = "bf16 pays" if has_bf16() else "no fast bf16"
    yield ok(
        f"{counted(free, 'core')} of {os.cpu_count()}, {counted(threads, 'thread')}, "
        f"{', '.join([*units, half])}"
    )
    quota = cpu_quota()
    if quota is not None and quota + 0.5 < min(free, threads):
        yield Finding(
            Level.warning,
            f"this container may use {quota:g} cores, and torch would start {threads} threads",
            remedy=f"Give --threads {max(1, int(quota))}, or set OMP_NUM_THREADS: more threads "
            "than cores wait for each other.",
        )


def memory(_: Surroundings) -> Iterator[Finding]:
    """The memory that is free, and what the system has done for want of it."""
    machine, limit = psutil.virtual_memory(), memory_limit()
    free, whole = int(machine.available), int(machine.total)
    if limit is not None and limit[0] < whole:
        whole, free = limit[0], min(free, limit[0] - limit[1])
        yield ok(f"{free / GB:.1f} of {whole / GB:.1f} GB of memory free in this container")
    else:
        yield ok(f"{free / GB:.1f} of {whole / GB:.1f} GB of memory free")
    if free < LEAST_MEMORY:
        yield Finding(
            Level.warning,
            f"only {free / GB:.1f} GB of memory are free",
            remedy="End other programs, or raise the container's limit: a worker takes one to two.",
        )
    if kills := memory_kills():
        yield Finding(
            Level.note,
            f"the system has ended {counted(kills, 'process', 'processes')} for their memory since "
            "it was started",
            remedy="If runs were among them, use fewer --workers, or --memory-per-worker.",
        )


def limits(_: Surroundings) -> Iterator[Finding]:
    """Shared memory and open files, of which workers of data need some."""
    shared = Path("/dev/shm")
    if shared.is_dir():
        size = shutil.disk_usage(shared)
        if size.free < LEAST_SHARED:
            yield Finding(
                Level.warning,
                f"{size.free / 2**20:,.0f} of {size.total / 2**20:,.0f} MB of shared memory free",
                (str(shared),),
                "Start the container with --shm-size=2g, or delete what lies there: workers of "
                "data hand batches over in it.",
            )
        else:
            yield ok(f"{size.free / GB:.1f} GB of shared memory free")
    try:
        import resource  # there is none on Windows
    except ImportError:
        return
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or files >= LEAST_FILES:
        yield ok("no limit of open files" if files < 0 else f"{files:,} open files allowed")
        return
    can = most == resource.RLIM_INFINITY or most >= LEAST_FILES
    yield Finding(
        Level.warning,
        f"a process may open only {files} files",
        remedy=f"'ulimit -n {4096 if can and most < 0 else max(LEAST_FILES, min(most, 4096))}' "
        "before the command" + (", as root." if not can else "."),
    )


CHECKS: tuple[Check, ...] = (gpus, processor, memory, limits)


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores that the control groups of this process let it use; None if they do not limit it.

    Args:
        root: where the system shows control groups.
    """
    found = []
    for folder in _groups(root, "cpu"):
        words = _text(folder / "cpu.max").split()  # version 2
        if not words:
            words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> tuple[int, int] | None:
    """The smallest limit of memory in bytes, and how much of it is used; None if there is none.

    What files are kept in memory is used as well; the system lets it go before anything else, so
    it is not counted.

    Args:
        root: where the system shows control groups.
    """
    found = []
    for folder in _groups(root, "memory"):
        for limit, used in (("max", "current"), ("limit_in_bytes", "usage_in_bytes")):
            most, now = (_text(folder / f"memory.{name}").strip() for name in (limit, used))
            if most.isdigit() and now.isdigit():
                found.append((int(most), max(0, int(now) - _files_kept(folder))))
    return min(found, default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, of either version."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        inner = top / place.lstrip("/")
        # A container sees its own group at the top, and may be told the way from the host's.
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _files_kept(folder: Path) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


def _nvidia() -> list[str]:
    """GPUs as the driver names them; empty without a driver."""
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={ASKED}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except FileNotFoundError:
        return []
    except (OSError, subprocess.SubprocessError) as error:
        return [f"nvidia-smi fails: {first_line(error)}"] if Path("/dev/nvidia0").exists() else []
    rows = [line.split(", ") for line in done.stdout.splitlines()]
    return [_told(*row) for row in rows if len(row) == ASKED.count(",") + 1]


def _told(name: str, driver: str, most: str, used: str) -> str:
    """A GPU for a person; of one that is divided, the driver tells no memory."""
    free = ""
    if most.isdigit() and used.isdigit():
        free = f", {int(most) - int(used):,} of {int(most):,} MB free"
    return f"{name}, driver {driver}{free}"


def _computes(built_for: list[str], major: int, minor: int) -> bool:
    """Whether code for these kinds of GPU runs on one of this kind."""
    for name in built_for:
        kind, _, number = name.partition("_")
        number = number.rstrip("af")  # of variants that run on one kind alone
        if not number.isdigit():
            continue
        of = int(number[:-1]), int(number[-1])
        if kind == "sm" and of[0] == major and of[1] <= minor:
            return True
        if kind == "compute" and of <= (major, minor):  # is translated when it is loaded
            return True
    return not built_for
