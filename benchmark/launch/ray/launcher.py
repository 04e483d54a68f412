"""Groups as tasks of a Ray cluster: the driver alone writes what stays.

Weights of roles lie in the object store, once each; checkpoints travel with a task and come back as
they are written, so that a node that is lost costs the work since the last one. Ray never repeats
a task by itself: who is to blame for an end, and what follows from it, is the conductor's matter.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.errors import TrainingError, UsageError, first_line
from benchmark.hub import OFFLINE
from benchmark.launch.launcher import Died, Heard, Launcher, Message, Refused, Work
from benchmark.launch.ray.cluster import Share, connect, nodes
from benchmark.launch.ray.parcels import Changes
from benchmark.launch.ray.sender import Sender
from benchmark.training.halt import Halt
from benchmark.work.place import Site

# Of the environment, what a user sets for the work and not for the machine.
VARIABLES = (
    OFFLINE, "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_XET", "KDBENCH_PHOTOGRAPHS",
)  # fmt: skip
WAITS_S = 60.0  # for a free place, before that is said


@dataclass
class _Task:
    """A piece of work that is given away.

    Attributes:
        stream: of what it tells.
        since: when it was given away.
        speaks: whether it has begun, or that it has not was said.
    """

    stream: Any
    since: float
    speaks: bool = False


@dataclass
class RayLauncher(Launcher):
    """Tasks of a Ray cluster.

    Args:
        slots: how many at once; 0 is as many as the cluster has room for.
        site: what the places are made of.
        share: what each gets of a node.
        address: of the cluster; None starts one here.
    """

    site: Site
    share: Share
    address: str | None = None
    _tasks: dict[int, _Task] = field(default_factory=dict, init=False)
    _sender: Sender = field(init=False)
    _flag: Any = field(default=None, init=False)
    _connected: bool = field(default=False, init=False)

    def __enter__(self) -> RayLauncher:
        """Connect.

        Raises:
            UsageError: there is no cluster, or no node has what a worker shall get.
        """
        self._sender = Sender(self.site.runs)
        log = self.site.runs / "ray" / "output.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self._connected = connect(self.address, log)
        room = sum(self.share.fit_into(node) for node in nodes())
        if not room:
            wanted = ", ".join(f"{name} {n:g}" for name, n in self.share.amounts().items())
            self.close()
            raise UsageError(f"no node of the Ray cluster has {wanted} for a worker.")
        self.slots = self.slots or room
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from benchmark.launch.ray.agent import Flag

        beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._flag = ray.remote(Flag).options(num_cpus=0, scheduling_strategy=beside).remote()
        return self

    def start(self, number: int, work: Work) -> None:
        """Give a task to the cluster."""
        import ray

        from benchmark.launch.ray.agent import Errand, attend, versions

        self.busy.add(number)
        left_s = self.site.deadline and max(0.0, self.site.deadline - time.monotonic())
        errand = Errand(
            number,
            pickle.dumps(work),
            self.site,
            left_s,
            versions(),
            {name: os.environ[name] for name in VARIABLES if name in os.environ},
            gpus=self.share.gpus > 0,
        )
        memory = self.share.amounts().get("memory")
        task = ray.remote(
            num_returns="streaming",
            num_cpus=self.share.cpus,
            num_gpus=self.share.gpus,
            memory=memory,
            max_retries=0,
            max_calls=0,  # the agent holds no memory of a GPU: it may serve again
        )(attend)
        stream = task.remote(errand, self._sender.files(work), self._flag)
        self._tasks[number] = _Task(stream, time.monotonic())

    def wait(self, timeout_s: float) -> list[Message]:
        """What came to an end."""
        import ray

        messages: list[Message] = []
        while self._tasks:
            streams = [task.stream for task in self._tasks.values()]
            ready, _ = ray.wait(streams, timeout=0 if messages else timeout_s)
            if not ready:
                self._say_who_waits()
                break
            for number, task in list(self._tasks.items()):
                if task.stream is ready[0]:
                    messages += self._hear_of(number, task)
            timeout_s = 0
        else:
            time.sleep(timeout_s)
        return messages

    def stop(self) -> None:
        """Ask all tasks to stop, those that have not begun as well."""
        self._flag.ask.remote()

    def close(self) -> None:
        """End all tasks, and leave the cluster."""
        if not self._connected and self._flag is None:
            return
        import ray

        for task in self._tasks.values():
            ray.cancel(task.stream, force=True)
        self._tasks, self.busy, self._sender = {}, set(), Sender(self.site.runs)
        if self._flag is not None:
            ray.kill(self._flag)
            self._flag = None
        if self._connected:
            self._connected = False
            ray.shutdown()

    # ------------------------------------------------------------------------ what comes back

    def _hear_of(self, number: int, task: _Task) -> list[Message]:
        """Hear the next that a task tells; the message of its end, if that is among it."""
        import ray

        task.speaks = True
        try:
            told = ray.get(next(task.stream))
        except StopIteration:
            told = [Died(number, "a task of Ray ended without a word", "lost")]
        except ray.exceptions.RayError as error:
            told = [end_of(number, error)]
        messages: list[Message] = []
        for one in told:
            match one:
                case Changes():
                    self._keep(number, one)
                case Heard(method="kept", arguments=(path,)):
                    self.hear(replace(one, arguments=(self._here(path),)))
                case Heard():
                    self.hear(one)
                case _:
                    messages.append(one)
        if messages:
            del self._tasks[number]
            self.busy.discard(number)
        return messages

    def _keep(self, number: int, changes: Changes) -> None:
        """Write what a node wrote; a checkpoint that cannot be kept here costs no training."""
        try:
            changes.apply(self.site.runs)
        except OSError as error:
            text = f"what came from a node could not be written: {error.strerror or error}"
            self.hear(Heard(number, "note", (text,)))

    def _here(self, path: Path) -> Path:
        """A file of a node's temporary folder as it is called here."""
        return self.site.runs.joinpath(*path.parts[-2:])

    def _say_who_waits(self) -> None:
        for number, task in self._tasks.items():
            if not task.speaks and time.monotonic() - task.since > WAITS_S:
                task.speaks = True
                text = "a group waits for a free place in the Ray cluster: see 'ray status'"
                self.hear(Heard(number, "note", (text,)))


def end_of(number: int, error: Exception) -> Message:
    """What an error of Ray says about a piece of work."""
    from ray import exceptions

    cause = getattr(error, "cause", None) or error  # of one that was raised over there
    text = first_line(cause).partition(". ")[0].rstrip(".")
    if cause is not error:
        text = f"{type(cause).__name__} on a node: {text}"
    if isinstance(cause, ImportError):
        return Refused(
            number,
            TrainingError(f"a node cannot import kdbench: {cause}. Install it there as here."),
        )
    if isinstance(error, exceptions.TaskUnschedulableError | exceptions.RuntimeEnvSetupError):
        return Refused(number, TrainingError(f"Ray cannot place a group: {text}"))
    if isinstance(error, exceptions.OutOfMemoryError):
        return Died(number, f"Ray ended a task for its node's memory: {text}", "memory")
    # The agent trains nothing: whatever else ended it, its node or a disk there is at fault.
    return Died(number, text, "lost")


def make_ray_launcher(site: Site, workers: int, options: Mapping[str, Any]) -> RayLauncher:
    """The launcher of these options.

    Args:
        site: of this machine; the nodes' are like it.
        workers: how many; 0 is as many as the cluster has room for.
        options: ``ray-address``, ``gpus-per-worker``, ``cpus-per-worker``.

    Raises:
        UsageError: an option does not fit.
    """
    gpus, cpus = options.get("gpus-per-worker", 0.0), options.get("cpus-per-worker", 1)
    if gpus > 1:
        raise UsageError(
            f"--gpus-per-worker {gpus:g}: with Ray a group trains on one GPU or on a part of it. "
            "--launcher slurm gives a group several."
        )
    site = replace(
        site,
        runs=site.runs.resolve(),
        data_dir=site.data_dir and site.data_dir.resolve(),
        threads=site.threads or cpus,
    )
    address = options.get("ray-address") or os.environ.get("RAY_ADDRESS") or None
    share = Share(cpus, gpus, site.memory_gb)
    return RayLauncher(workers, Halt(site.deadline), site, share, address)
