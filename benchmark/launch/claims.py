"""Claims: leases by which any number of processes share the runs of one folder.

A claim on a run is a file ``claim-N`` in the run's folder. The one with the highest number holds;
it is made by linking a file that is already whole to its name, which only one process can do, on
NFS as well. Its holder writes into it every few seconds. Whoever finds that the holder's process is
gone (on the same machine), or that nothing was written for a minute by the finder's own clock (on
another one; no two clocks are ever compared), makes ``claim-(N+1)``, which again only one can do.
A holder that was thought dead finds the higher number, or its file gone, and has lost the run: it
records nothing of it. A claim gives no right to a result that is recorded already, so whoever takes
one asks the store afterwards.

A claim costs 1.1 ms, a look whether it still holds 0.08 ms (500 claims on a local disk, ext4, one
thread of an AMD EPYC).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from benchmark.errors import BenchmarkError
from benchmark.files import system_name, unheard_of

BEAT_S = 5.0  # how often a holder writes
EXPIRY_S = 60.0  # NFS keeps attributes for up to a minute by default, but not of opened files
LENGTH = 2048  # of a claim: written over in place, so never longer or shorter
NAME = re.compile(r"claim-(\d{1,9})")


@dataclass(frozen=True)
class Holder:
    """Who holds a claim, as far as the file says it.

    Attributes:
        host: name of the machine.
        system: start of the machine and its space of process numbers, in which ``pid`` counts.
        pid: of the process.
        started: of the process, seconds since 1970 by that machine's clock.
        token: of this claim and no other.
        label: what is trained, for a person.
        epoch, epochs: how far it is, and of how many.
        beat: counts up as long as the holder lives.
    """

    host: str
    system: str
    pid: int
    started: float
    token: str
    label: str = ""
    epoch: int = 0
    epochs: int = 0
    beat: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that does not run any more."""
        if self.system != system_name():
            return False
        try:
            # A clock that is set moves the start of a process too, by as much as it is set.
            return abs(psutil.Process(self.pid).create_time() - self.started) > 5
        except psutil.NoSuchProcess:
            return True

    def text(self) -> bytes:
        """As it stands in the file."""
        values = asdict(self)
        values["label"] = values["label"][:200]
        return json.dumps(values).encode("ascii").ljust(LENGTH)[:LENGTH]

    @classmethod
    def of_text(cls, text: bytes) -> Holder | None:
        """The holder of whom a file speaks; None while it is written, or if it is no claim."""
        try:
            values = json.loads(text)
            holder = cls(**values)
        except (ValueError, TypeError, RecursionError):
            return None
        kinds = {name: type(value) for name, value in asdict(_SAMPLE).items()}
        fits = all(
            isinstance(value, float | int) if kind is float else type(value) is kind
            for (name, value), kind in zip(asdict(holder).items(), kinds.values(), strict=True)
        )
        return holder if fits else None


_SAMPLE = Holder("", "", 0, 0.0, "")


@dataclass
class Claim:
    """A run that is this process's to train, until it is released or lost."""

    path: Path
    holder: Holder
    _file: int
    _lost: bool = False

    def tell(self, epoch: int, epochs: int | None) -> None:
        """Say with the next beat how far the run is, and of how many epochs unless that is said."""
        epochs = self.holder.epochs if epochs is None else epochs
        self.holder = replace(self.holder, epoch=epoch, epochs=epochs)

    def beat(self) -> None:
        """Show that the holder lives, and see whether it still holds."""
        if self._lost:
            return
        self.holder = replace(self.holder, beat=self.holder.beat + 1)
        try:
            if os.fstat(self._file).st_nlink == 0 or _listed(self.path.parent)[-1:] != [
                _number(self.path)
            ]:
                self._lost = True
                return
            os.pwrite(self._file, self.holder.text(), 0)
        except OSError:
            # A full or absent disk says nothing of who holds. If it lasts, others see no beat and
            # take the run over, and the next beat that comes through finds that it is lost.
            return

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken the run over; asks the folder."""
        self.beat()
        return self._lost

    def release(self) -> None:
        """Let others have the run."""
        with contextlib.suppress(OSError):
            if not self.is_lost:
                self.path.unlink(missing_ok=True)
        os.close(self._file)


@dataclass
class Claims:
    """The claims of this process in a folder of runs, and its view of others'.

    Args:
        folder_of: the folder of a run by its identity.
        expiry_s: how long a holder on another machine may be silent.
    """

    folder_of: Callable[[str], Path]
    expiry_s: float = EXPIRY_S
    _held: dict[str, Claim] = field(default_factory=dict)
    _seen: dict[Path, tuple[bytes, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def take(self, identity: str, label: str) -> bool:
        """Claim a run; whether it is now this process's.

        Raises:
            BenchmarkError: the folder cannot be written.
        """
        with self._lock:
            if identity in self._held:
                return True
            folder = self.folder_of(identity)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                claim = self._take(folder, label)
            except OSError as error:
                raise BenchmarkError(
                    f"cannot claim a run in {folder}: {error.strerror or error}.\n"
                    "Free some space or choose another folder with --runs."
                ) from None
            if claim is not None:
                self._held[identity] = claim
                self._keep_beating()
            return claim is not None

    def holds(self, identity: str) -> bool:
        """Whether a run that was claimed is still this process's."""
        with self._lock:
            claim = self._held.get(identity)
            return claim is not None and not claim.is_lost

    def tell(self, identity: str, epoch: int, epochs: int | None) -> None:
        """Let others know how far a run is."""
        with self._lock:
            if identity in self._held:
                self._held[identity].tell(epoch, epochs)

    def release(self, identity: str) -> None:
        """Let others have a run."""
        with self._lock:
            claim = self._held.pop(identity, None)
            if claim is not None:
                claim.release()

    def close(self) -> None:
        """Release all, and stop beating."""
        self._over.set()
        for identity in list(self._held):
            self.release(identity)

    def other(self, identity: str) -> Holder | None:
        """Who else trains a run; None if nobody does who lives."""
        folder = self.folder_of(identity)
        numbers = _numbers(folder)
        if identity in self._held or not numbers:
            return None
        path = folder / f"claim-{numbers[-1]}"
        text = _read(path)
        if text is None or self._is_expired(path, text):
            return None
        return Holder.of_text(text) or _SAMPLE

    # ------------------------------------------------------------------------------ one claim

    def _take(self, folder: Path, label: str) -> Claim | None:
        numbers = _numbers(folder)
        number = 1
        if numbers:
            path = folder / f"claim-{numbers[-1]}"
            text = _read(path)
            if text is not None and not self._is_expired(path, text):
                return None
            number = numbers[-1] + 1
        holder = Holder(
            socket.gethostname(),
            system_name(),
            os.getpid(),
            psutil.Process().create_time(),
            secrets.token_hex(8),
            label,
        )
        path = folder / f"claim-{number}"
        file = _create(path, holder)
        if file is None:
            return None
        for older in numbers:  # of dead holders; one that only seemed dead finds its file gone
            with contextlib.suppress(OSError):  # a lower number that stays holds nothing
                (folder / f"claim-{older}").unlink(missing_ok=True)
        return Claim(path, holder, file)

    def _is_expired(self, path: Path, text: bytes) -> bool:
        holder = Holder.of_text(text)
        if holder is not None and holder.is_gone:
            return True
        now = time.monotonic()
        known, since = self._seen.get(path, (None, now))
        if text != known:
            self._seen[path] = text, now
            return False
        return now - since > self.expiry_s

    # ------------------------------------------------------------------------------ the beat

    def _keep_beating(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="claims", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            with self._lock:
                for claim in self._held.values():
                    claim.beat()


def living(runs: Path) -> Iterator[tuple[str, Holder, float]]:
    """The claims below a folder of runs, for a look at them.

    Yields:
        The name of the run's folder, the holder, and the age of its last sign in seconds by the
        clocks of the file server and of this machine. Holders that are known to be gone are left
        out.
    """
    for folder in sorted(runs.glob("*/")):
        for number in _numbers(folder)[-1:]:
            path = folder / f"claim-{number}"
            holder = _holder(path)
            if holder is not None and not holder.is_gone:
                with contextlib.suppress(OSError):
                    yield folder.name, holder, max(0.0, time.time() - path.stat().st_mtime)


def abandoned(runs: Path) -> Iterator[tuple[Path, Holder]]:
    """The claims below a folder of runs whose holders are known to be gone, with their files.

    They hinder nobody: whoever wants the run takes it over.
    """
    for folder in sorted(runs.glob("*/")):
        for number in _numbers(folder):
            path = folder / f"claim-{number}"
            holder = _holder(path)
            if holder is not None and holder.is_gone:
                yield path, holder


def clear(path: Path, holder: Holder) -> bool:
    """Remove an abandoned claim; whether it was still that of this holder.

    Raises:
        OSError: it cannot be removed.
    """
    if _holder(path) != holder:
        return False
    path.unlink(missing_ok=True)
    return True


def _create(path: Path, holder: Holder) -> int | None:
    """Make a claim that is whole from the first moment; its open file, or None if it exists."""
    mine = path.with_name(unheard_of(path.name))
    file = _written(mine, holder)
    try:
        os.link(mine, path)
    except FileExistsError:
        os.close(file)
        return None
    except OSError:  # a file system without links
        os.close(file)
        with contextlib.suppress(FileExistsError):
            return _written(path, holder)
        return None
    finally:
        mine.unlink(missing_ok=True)
    return file


def _written(path: Path, holder: Holder) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        os.pwrite(file, holder.text(), 0)
    except BaseException:
        os.close(file)
        path.unlink(missing_ok=True)
        raise
    return file


def _numbers(folder: Path) -> list[int]:
    """Numbers of the claims in a folder, in their order; none where it cannot be read."""
    try:
        return _listed(folder)
    except OSError:
        return []


def _listed(folder: Path) -> list[int]:
    """Raises: OSError."""
    return sorted(int(match[1]) for match in map(NAME.fullmatch, os.listdir(folder)) if match)


def _number(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def _holder(path: Path) -> Holder | None:
    """Who holds a claim; None if it is gone, or says nothing."""
    text = _read(path)
    return None if text is None else Holder.of_text(text)


def _read(path: Path) -> bytes | None:
    """The text of a claim; None if it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.pread(file, LENGTH, 0)
    except OSError:
        return None
    finally:
        os.close(file)
