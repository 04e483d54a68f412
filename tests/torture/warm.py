"""A process that has imported all, and from which commands are forked within milliseconds.

It is told what to do by lines of JSON on its standard input and answers each with one. A command
gets a session of its own, so that all its processes are found. Those that it leaves behind are this
process's children, and are counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import sys
import time
from multiprocessing import connection, forkserver, resource_tracker
from typing import Any, NoReturn

PR_SET_CHILD_SUBREAPER = 36


def serve() -> None:
    """Answer until the input ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource_tracker.ensure_running()
    _import_all()
    gc.collect()
    gc.freeze()
    ended: dict[int, int] = {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            answer: dict[str, Any] = {"pid": _start(order)}
        else:
            answer = {"status": _wait(order["pid"], order["seconds"], ended)}
        print(json.dumps(answer), file=answers, flush=True)


def _import_all() -> None:
    import torch
    import torch._dynamo
    import torch.onnx  # the first step of an optimiser imports these, which takes seconds

    torch.set_num_threads(1)
    import benchmark.catalogues.today
    import benchmark.cli.matrix
    import benchmark.launch.session
    import benchmark.launch.workers.inline
    import benchmark.launch.workers.pool
    import benchmark.launch.workers.worker
    import benchmark.reports.board.aggregate
    import benchmark.reports.terminal.live
    import benchmark.reports.terminal.results  # noqa: F401
    from benchmark.recipe.discovery import load_recipes

    load_recipes(())


def _start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if not pid:
        _command(order)
    return pid


def _command(order: dict[str, Any]) -> NoReturn:
    status = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for to, what in ((0, nothing), (1, out), (2, out)):
            os.dup2(what, to)
        os.closerange(3, 4)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        os.environ.update(order["env"])
        _wait_shortly()
        _claim_otherwise()
        _fork_server()
        status = _main(order["words"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(status)


def _wait_shortly() -> None:
    """Let the pauses between further tries be as long as a test can wait."""
    from benchmark.launch.conductor import PAUSES_S, Conductor

    if pauses := os.environ.get("TORTURE_PAUSES"):
        shorter = tuple(map(float, pauses.split()))
        given = Conductor.__init__.__defaults__ or ()
        changed = tuple(shorter if value is PAUSES_S else value for value in given)
        vars(Conductor)["__init__"].__defaults__ = changed


def _claim_otherwise() -> None:
    """Let leases be short, and this process be on a machine of its own, with a clock of its own."""
    import psutil

    from benchmark.launch import claims

    if lease := os.environ.get("TORTURE_LEASE"):
        claims.BEAT_S, expiry_s = map(float, lease.split())
        given = claims.Claims.__init__.__defaults__ or ()
        changed = tuple(expiry_s if value == claims.EXPIRY_S else value for value in given)
        vars(claims.Claims)["__init__"].__defaults__ = changed
    if system := os.environ.get("TORTURE_SYSTEM"):
        vars(claims)["system_name"] = lambda: system
    if clock := os.environ.get("TORTURE_CLOCK"):
        now, created = time.time, psutil.Process.create_time
        time.time = lambda: now() + float(clock)
        psutil.Process.create_time = lambda self: created(self) + float(clock)


def _main(words: list[str]) -> int:
    from benchmark.cli.app import main

    try:
        main(words)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


def _fork_server() -> None:
    """The server from which workers are forked, itself forked rather than started anew."""
    server = forkserver._forkserver
    with socket.socket(socket.AF_UNIX) as listener:
        address = connection.arbitrary_address("AF_UNIX")
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen()
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(write)
            try:
                forkserver.main(listener.fileno(), read, [])
            finally:
                os._exit(0)
        os.close(read)
    server._forkserver_address, server._forkserver_alive_fd = address, write
    server._forkserver_pid = pid


def _wait(pid: int, seconds: float, ended: dict[int, int]) -> int | None:
    """How a command ended; None if it has not within so many seconds."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                ended[found[0]] = os.waitstatus_to_exitcode(found[1])
        if pid in ended or time.monotonic() > until:
            return ended.get(pid)
        time.sleep(0.002)


if __name__ == "__main__":
    serve()
