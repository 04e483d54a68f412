"""Commands that start within milliseconds, because a warm process forks them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
ORPHANS_S = 30.0  # a worker of a loader looks for its parent every five seconds


@dataclass
class Command:
    """A command that was started."""

    nursery: Nursery
    pid: int
    out: Path

    def wait(self, seconds: float) -> int | None:
        """Its exit code, negative for a signal; None if it runs on after so many seconds."""
        status = self.nursery.ask(do="wait", pid=self.pid, seconds=seconds)["status"]
        return None if status is None else int(status)

    def processes(self) -> list[psutil.Process]:
        """Those of its processes that live, its own included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) == self.pid and process.status() != "zombie":
                    found.append(process)
        return found

    def kill(self, who: str, rng: random.Random) -> bool:
        """End some of it by SIGKILL; whether there was such a process.

        Args:
            who: ``tree`` all, ``driver`` the one that was started, ``worker`` one that trains,
                ``loader`` one that loads data.
            rng: chooses among several.
        """
        if who in ("tree", "driver"):
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if who == "tree" else os.kill)(self.pid, signal.SIGKILL)
                return True
            return False
        below: dict[int, int] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                below[process.pid] = process.ppid()
        depth = {pid: _depth(pid, self.pid, below) for pid in below}
        # The command, its fork server, workers, loaders.
        chosen = sorted(pid for pid, at in depth.items() if at == {"worker": 2, "loader": 3}[who])
        if not chosen:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(chosen), signal.SIGKILL)
            return True
        return False

    def orphans(self) -> list[psutil.Process]:
        """What lives on of it."""
        until = time.monotonic() + ORPHANS_S
        while (left := self.processes()) and time.monotonic() < until:
            self.wait(0.05)
        return left

    def said(self) -> str:
        """All that it has said so far."""
        return self.out.read_text("utf-8", "replace") if self.out.exists() else ""


def _depth(pid: int, top: int, below: Mapping[int, int]) -> int:
    depth = 0
    while pid != top:
        if pid not in below or depth > 9:
            return -1
        pid, depth = below[pid], depth + 1
    return depth


class Nursery:
    """The warm process.

    Args:
        shim: library that is loaded into it and into all that it forks.
    """

    def __init__(self, shim: Path | None = None) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "MKL_NUM_THREADS": "1", "COLUMNS": "200",
        }  # fmt: skip
        if shim is not None:
            environment["LD_PRELOAD"] = str(shim)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.warm"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        self._answer()

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order, and take the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def start(
        self, words: Sequence[str], *, out: Path, env: Mapping[str, str] | None = None
    ) -> Command:
        """Start ``kdbench WORDS``.

        Args:
            words: of the command.
            out: file to which all that it says is added.
            env: changes of its environment.
        """
        told = self.ask(do="start", words=list(words), env=dict(env or {}), out=str(out))
        return Command(self, told["pid"], out)

    def run(
        self, words: Sequence[str], *, out: Path, env: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> int | None:  # fmt: skip
        """Start a command, and wait for its exit code; None if it had to be ended."""
        command = self.start(words, out=out, env=env)
        status = command.wait(seconds)
        if status is None:
            command.kill("tree", random.Random(0))
            command.wait(10)
        return status

    def close(self) -> None:
        """End the warm process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the warm process has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer
