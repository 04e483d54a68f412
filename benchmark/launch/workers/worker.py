"""A worker: a process that does one piece of work after the other for who started it.

It is started by the pool and speaks with it through a pipe. What it is told: work to do, and to
stop. What it tells: what the work tells, and how it ended. It writes checkpoints and no record. If
the pipe ends, so does it, at once: another process may hold its runs by then.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmark import hub
from benchmark.errors import BenchmarkError, TrainingError
from benchmark.launch.launcher import Ended, Opening, Refused, Work
from benchmark.launch.workers.telling import Telling
from benchmark.training.ending import Disturbed
from benchmark.training.faults import disturbance, words_of
from benchmark.work.environment import environment
from benchmark.work.place import Place, Site
from benchmark.work.train import GroupSpec, train_group

STOP = "stop"


def serve(pipe: Connection, site: Site, variables: dict[str, str], folder: str) -> None:
    """Do what comes through the pipe until it is closed; the main function of a worker.

    Args:
        pipe: to the launcher.
        site: what the place is made of.
        variables: the whole environment, e.g. which GPU is seen.
        folder: in which the launcher is now, that relative paths are meant from. multiprocessing
            puts its processes into the one in which it was imported.
    """
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    hub.follow_parent()
    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to all; the launcher speaks
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _prefer_to_be_ended()
    place = site.place()
    signal.signal(signal.SIGTERM, lambda *_: place.halt.ask())
    orders: queue.SimpleQueue[tuple[int, Work]] = queue.SimpleQueue()
    lock = threading.Lock()

    def tell(message: Any) -> None:
        with lock:
            pipe.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))

    def listen() -> None:
        try:
            while True:
                order = pipe.recv()
                if order == STOP:
                    place.halt.ask()
                else:
                    orders.put(order)
        except (EOFError, OSError):
            os._exit(1)  # the launcher is gone, and with it the right to write

    threading.Thread(target=listen, name="orders", daemon=True).start()
    while True:
        number, work = orders.get()
        tell(do(number, work, place, Telling(number, tell)))


def do(number: int, work: Work, place: Place, listener: Telling) -> Ended | Refused:
    """Do a piece of work, and say how it ended."""
    try:
        if isinstance(work, Opening):
            for card, protocol in work.data:
                place.data_of(card, protocol, listener)
            endings = []
        else:
            endings = train_group(work, place, listener)
    except Exception as error:  # what a run is to blame for is among the endings
        return _nothing_done(number, work, place, error)
    return Ended(number, tuple(endings), environment(place.accelerator))


def _nothing_done(number: int, work: Work, place: Place, error: Exception) -> Ended | Refused:
    """Nothing of a piece of work was done: its surroundings failed, or it cannot be done here."""
    fault = disturbance(error)
    alone = place.accelerator.num_processes == 1  # else the others may wait for this process
    if fault is not None and isinstance(work, GroupSpec) and alone:
        endings = (Disturbed(*fault),) * len(work.members)
        return Ended(number, endings, environment(place.accelerator))
    if isinstance(error, BenchmarkError):
        return Refused(number, _plain(error))
    said = f"{type(error).__name__}: {words_of(error)}"
    refusal = TrainingError(f"the data could not be read, or the training not begun: {said}")
    refusal.__cause__ = error
    return Refused(number, refusal)


def _plain(error: BenchmarkError) -> BenchmarkError:
    """The error, or its message where it cannot travel: some are built from more than that."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return BenchmarkError(str(error))
    return error


def _prefer_to_be_ended() -> None:
    """Let the system, when memory ends, choose this process and not the one that keeps order."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
