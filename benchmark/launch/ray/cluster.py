"""The connection to a Ray cluster, or one that is started for this command alone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import UsageError, first_line

# Ray must say nothing to its makers, and listen on no network when it is started for one command.
ALONE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
KNOCK_S = 10.0


@dataclass(frozen=True)
class Share:
    """What one worker gets of a node.

    Attributes:
        cpus: cores.
        gpus: a part of one, or one.
        memory_gb: main memory; None reserves none.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gb: float | None = None

    def amounts(self) -> dict[str, float]:
        """As Ray names them."""
        amounts = {"CPU": float(self.cpus), "GPU": self.gpus}
        if self.memory_gb is not None:
            amounts["memory"] = self.memory_gb * 2**30
        return {name: amount for name, amount in amounts.items() if amount}

    def fit_into(self, node: dict[str, float]) -> int:
        """How many of them fit into a node."""
        return min(
            int(node.get(name, 0.0) / amount + 1e-9) for name, amount in self.amounts().items()
        )


def connect(address: str | None, log: Path) -> bool:
    """Connect to a cluster.

    Args:
        address: of its head, or ``auto`` for one that runs on this machine; None starts one here.
        log: file for what processes of the cluster print.

    Returns:
        Whether this call connected; False if the program was connected already.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """
    if address is None:
        for name, value in ALONE.items():
            os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UsageError("--launcher ray needs Ray: pip install 'kdbench[ray]'") from None
    if ray.is_initialized():
        return False
    if address not in (None, "auto"):
        _knock(address)
    options: dict[str, Any] = {"address": address or "local", "logging_level": logging.ERROR}
    if address is None:
        options["include_dashboard"] = False
    with _signals_as_they_are(), _printing_to(log):
        try:
            ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise _no_cluster(str(address), first_line(error)) from None
    return True


def _knock(address: str) -> None:
    """See whether anybody answers: Ray itself would try for minutes.

    Raises:
        UsageError: nobody does, or this is no address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--ray-address '{address}': write HOST:PORT, or 'auto'.")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, first_line(error)) from None


def _no_cluster(address: str, reason: str) -> UsageError:
    return UsageError(
        f"no Ray cluster at '{address}': {reason}.\nStart one with 'ray start --head', or leave "
        "--ray-address and RAY_ADDRESS away."
    )


def nodes() -> list[dict[str, float]]:
    """What each living node has."""
    import ray

    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


@contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """Ray puts a handler of its own in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """What nodes print goes to a file: Ray would write it into the table, or the JSON.

    Ray has no option for that: the function that it prints with is replaced while it connects,
    which is when it notes it. A version without that function prints as it does.
    """
    from ray._private import worker

    if not hasattr(worker, "print_to_stdstream"):
        yield
        return
    worker.print_to_stdstream = _writer(log)
    yield


def _writer(log: Path) -> Callable[..., None]:
    lock = threading.Lock()

    def write(data: dict[str, Any], ignore_prefix: bool = False) -> None:
        if data.get("pid") == "autoscaler":
            return  # a page every few seconds
        who = f"{data.get('ip') or ''} {data.get('pid') or ''}".strip()
        with lock, log.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"({who}) {line}\n" for line in data["lines"])

    return write
