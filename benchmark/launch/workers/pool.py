"""Work in other processes of this machine, so that a crash ends one group and not the matrix."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess, SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmark.launch.launcher import Cause, Died, Ended, Heard, Launcher, Message, Refused, Work
from benchmark.launch.workers.worker import STOP, serve
from benchmark.training.ending import Disturbed
from benchmark.work.memory import in_huge_pages
from benchmark.work.place import Site
from benchmark.work.train import GroupSpec

GRACE_S = 2.0  # for a process that was told to end


@dataclass(eq=False)
class _Worker:
    """A process, what it sees, the number of what it does, and how many groups it trained."""

    process: BaseProcess
    pipe: Connection
    gpu: str | None
    work: int | None = None
    trained: int = 0
    limit_s: float | None = None
    heard_at: float = 0.0

    def begin(self, number: int, limit_s: float | None) -> None:
        """It has work from now on, and may be silent for so long."""
        self.work, self.limit_s, self.heard_at = number, limit_s, time.monotonic()

    @property
    def is_silent(self) -> bool:
        """Whether it has said nothing for too long: a step of some method does not come back."""
        silent_s = time.monotonic() - self.heard_at
        return self.work is not None and self.limit_s is not None and silent_s > self.limit_s

    def send(self, *orders: object) -> None:
        """Send orders; a worker that is dead is found by ``wait``."""
        with contextlib.suppress(OSError):
            for order in orders:
                self.pipe.send(order)

    def end(self) -> None:
        """End the process at once, and wait until it is gone."""
        self.pipe.close()  # which ends it too
        self.process.terminate()
        self.process.join(GRACE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@dataclass
class Pool(Launcher):
    """Processes of this machine, each of which does one piece of work at a time.

    They are forked from a server that has imported what work needs, and live until the pool is
    closed, unless what they do ends or spoils them.

    Args:
        slots: number of processes.
        site: what their places are made of.
        gpus: those that are dealt out, as ``CUDA_VISIBLE_DEVICES`` names them; empty on the CPU.
    """

    site: Site
    gpus: Sequence[str] = ()
    _workers: list[_Worker] = field(default_factory=list, init=False)
    _kills: int = field(default=0, init=False)
    _stopping: bool = field(default=False, init=False)
    _suspects: bool = field(default=False, init=False)

    def start(self, number: int, work: Work) -> None:
        """Give a process work."""
        if self._suspects:
            self._retire()
        worker = next((w for w in self._workers if w.work is None), None) or self._begin()
        worker.begin(number, self.site.limit_s if isinstance(work, GroupSpec) else None)
        self.busy.add(number)
        worker.send((number, work))
        if self._stopping:
            worker.send(STOP)

    def wait(self, timeout_s: float) -> list[Message]:
        """What came to an end."""
        messages: list[Message] = []
        ready = connection.wait([worker.pipe for worker in self._workers], timeout_s)
        for worker in [w for w in self._workers if w.pipe in ready]:
            try:
                while worker.pipe.poll():
                    worker.heard_at = time.monotonic()
                    said = pickle.loads(worker.pipe.recv_bytes())
                    if isinstance(said, Heard):
                        self.hear(said)
                    else:
                        messages.append(self._over(worker, said))
                        break  # it has nothing more to say, and may be gone by now
            except (EOFError, OSError):
                messages += self._buried(worker)
        for worker in [w for w in self._workers if w.is_silent]:
            worker.process.kill()
            messages += self._buried(worker)
        return messages

    def drop(self, number: int) -> bool:
        """End the process that does a piece of work."""
        for worker in [w for w in self._workers if w.work == number]:
            self._workers.remove(worker)
            worker.process.kill()  # not asked: it shall write nothing more
            worker.end()
        self.busy.discard(number)
        return True

    def stop(self) -> None:
        """Ask all processes to stop."""
        self._stopping = True
        for worker in self._workers:
            worker.send(STOP)

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.end()
        self._workers, self.busy = [], set()

    def _begin(self) -> _Worker:
        """Start a process that sees the GPU which fewest others see."""
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        if forks:
            _start_server()
        Process = ForkServerProcess if forks else SpawnProcess
        if not self._workers:
            self._kills = memory_kills()
        seen = [worker.gpu for worker in self._workers]
        gpu = min(self.gpus, key=seen.count, default=None)
        # As it is now: the server that forks may be older than what was set since.
        variables = dict(os.environ) | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})
        ours, theirs = multiprocessing.Pipe()
        process = Process(target=serve, args=(theirs, self.site, variables, os.getcwd()))
        process.start()
        theirs.close()  # so that the pipe ends when the process does
        worker = _Worker(process, ours, gpu)
        self._workers.append(worker)
        return worker

    def _retire(self) -> None:
        """End idle processes that trained something: another one died, and its run starts anew."""
        self._suspects = False
        for worker in [w for w in self._workers if w.work is None and w.trained]:
            self._workers.remove(worker)
            worker.end()

    def _over(self, worker: _Worker, said: Ended | Refused) -> Message:
        """A process is free again, or gone if its surroundings may be at fault."""
        worker.work = None
        worker.trained += isinstance(said, Refused) or len(said.endings) > 0
        self.busy.discard(said.work)
        if isinstance(said, Ended) and any(isinstance(e, Disturbed) for e in said.endings):
            self._workers.remove(worker)
            worker.end()
        return said

    def _buried(self, worker: _Worker) -> list[Message]:
        """How a process ended, if it had work."""
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        if worker.work is None:
            return []
        self._suspects = True
        self.busy.discard(worker.work)
        code, kills = worker.process.exitcode or 0, memory_kills()
        cause: Cause = "crash"
        reason = f"the process ended by itself with exit code {code}"
        if code < 0:
            cause = "lost" if -code in (signal.SIGKILL, signal.SIGTERM) else "crash"
            reason = f"the process was ended by {_name(-code)}"
        if -code == signal.SIGKILL and kills > self._kills:
            cause, reason = "memory", "the system ended the process for its memory"
        if worker.is_silent:
            cause, reason = "silence", f"the process said nothing for {worker.limit_s:.0f} s"
        self._kills = kills
        return [Died(worker.work, reason, cause, fresh=worker.trained == 0)]


def _start_server() -> None:
    """Start the server that workers are forked from, unless it runs.

    It imports what this process would: Python lets it look first into the folder in which the
    command was given, where a ``benchmark`` or ``datasets`` may be anything. What it is told in its
    environment its workers' programs do not find there: workers get this process's.
    """
    multiprocessing.set_forkserver_preload(["benchmark.launch.workers.preload"])
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    said = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", **in_huge_pages(os.environ)}
    before = {name: os.environ[name] for name in said if name in os.environ}
    os.environ.update(said)
    try:
        forkserver.ensure_running()
    finally:
        for name in said:
            del os.environ[name]
        os.environ.update(before)


def memory_kills() -> int:
    """How often the system has ended a process for its memory, as far as it tells."""
    kills = 0
    for source in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(source).read_text("ascii").splitlines():
                name, _, value = line.partition(" ")
                kills += int(value) if name == "oom_kill" else 0
    return kills


def visible_gpus() -> tuple[str, ...]:
    """The GPUs of this machine by the names that ``CUDA_VISIBLE_DEVICES`` takes."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given:
        return tuple(name.strip() for name in given.split(",") if name.strip())
    # Counted without a context on any of them, which would take memory from the workers.
    return tuple(str(number) for number in range(torch.cuda.device_count()))


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
