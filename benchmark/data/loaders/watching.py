"""Data workers that are watched: one that dies or hangs is named, with the image it was at.

torch notices a dead worker too, but through a signal whose handler raises wherever the main process
just is, in the middle of a step of some method; and for one that hangs it waits for ever. Here both
are noticed where a batch is waited for, and are a disturbance of the training, no fault of it.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, get_worker_info

from benchmark.errors import DisturbanceError, first_line

PATIENCE_S = 120.0  # without a batch, until workers count as hanging
LOOK_EVERY_S = 1.0  # while a batch is waited for: whether all workers live
_LOOKS = 20  # for a dead worker, once a connection to one broke
_WATCH_PARENT_S = 1.0

T = TypeVar("T")


class Board:
    """What every worker writes before it reads an image, and the main process reads.

    Args:
        workers: their number.
    """

    def __init__(self, workers: int) -> None:
        self._pids = multiprocessing.RawArray("q", max(1, workers))
        self._positions = multiprocessing.RawArray("q", max(1, workers))

    def begin(self, worker: int) -> None:
        """A worker says who it is."""
        self._pids[worker], self._positions[worker] = os.getpid(), -1

    def at(self, position: int) -> None:
        """A worker says at which image it is; outside of one nothing is said."""
        if (info := get_worker_info()) is not None:
            self._positions[info.id] = position

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the workers that have begun."""
        return tuple(pid for pid in self._pids if pid)

    def place(self, pid: int) -> str:
        """Which worker this is, and where it was."""
        worker = self.pids.index(pid)
        position = self._positions[worker]
        where = f"at the image in position {position:,}" if position >= 0 else "before any image"
        return f"worker {worker} (process {pid}) {where}"


class Watched(Generic[T]):
    """The batches of a loader with worker processes, an epoch at each iteration.

    Args:
        batches: their loader, with a ``timeout`` of ``LOOK_EVERY_S``.
        board: on which its workers write.
        patience_s: without a batch, until workers count as hanging.
    """

    def __init__(
        self, batches: DataLoader[Any], board: Board, *, patience_s: float | None = None
    ) -> None:
        self._batches, self._board = batches, board
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._ends = False

    def __iter__(self) -> Iterator[T]:
        """The batches of an epoch.

        Raises:
            DisturbanceError: a worker died, hangs, or could not hand a batch over.
        """
        with _no_handler_for_children():
            batches = iter(self._batches)
        if not self._ends:
            # Before torch's own ways, which wait five seconds for each worker: at the exit what
            # was registered last comes first, and where all is garbage the callback does.
            atexit.register(_end_workers, self._board)
            weakref.finalize(self, _end_workers, self._board).atexit = False
            self._ends = True
        since = time.monotonic()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            # What torch raises for its own faults and passes on of those of its workers.
            except (RuntimeError, OSError, EOFError) as error:
                try:
                    self._explain(error, time.monotonic() - since)
                except DisturbanceError:
                    _end_workers(self._board)
                    raise
                continue
            yield batch
            since = time.monotonic()

    def _explain(self, error: Exception, waited_s: float) -> None:
        """Raise what is to be said, or nothing while there is patience left."""
        timed_out = "timed out" in str(error)
        if dead := self._dead(0 if timed_out else _LOOKS):
            raise DisturbanceError(
                f"a data worker died: {self._board.place(dead[0])}. If the system ended it for "
                "want of memory, its log says so: free memory (also in /dev/shm), or train with "
                "fewer workers at once."
            ) from None
        if not timed_out:
            raise DisturbanceError(
                f"the data workers could not hand over a batch: {first_line(error)}. See whether "
                "/dev/shm has room and files may be opened (ulimit -n)."
            ) from error
        if waited_s >= self._patience_s:
            places = "; ".join(map(self._board.place, self._board.pids))
            raise DisturbanceError(
                f"the data workers gave no batch for {waited_s:.0f} seconds and were ended: "
                f"{places}. See whether the disk with the images answers."
            ) from None

    def _dead(self, looks: int) -> list[int]:
        """The workers that have ended; looks again so often while there is none."""
        alive = {child.pid for child in multiprocessing.active_children()}
        dead = [pid for pid in self._board.pids if pid not in alive]
        if dead or not looks:
            return dead
        # A connection breaks a moment before the process at its other end counts as ended.
        time.sleep(LOOK_EVERY_S / _LOOKS)
        return self._dead(looks - 1)


def start_worker(board: Board, parent: int, worker: int) -> None:
    """What a worker process does first: say who it is, and end whenever its parent is gone.

    Args:
        board: of the loader.
        parent: process that iterates over the loader.
        worker: number of this worker.
    """
    board.begin(worker)
    # Ctrl-C reaches a whole terminal, and what 'timeout' and Slurm send a whole group; the main
    # process needs batches to finish its step and to write a checkpoint, then ends its workers.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_workers(board: Board) -> None:
    """End what is left of a loader's workers: one that hangs would not end by itself."""
    for child in multiprocessing.active_children():
        if child.pid in board.pids:
            child.kill()


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, in whatever way."""
    while os.getppid() == parent:
        time.sleep(_WATCH_PARENT_S)
    os._exit(1)


@contextlib.contextmanager
def _no_handler_for_children() -> Iterator[None]:
    """Take back the handler for ended children that torch sets when workers start."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, before if before is not None else signal.SIG_DFL)
