"""Connections: whether one may be made at all, and whether the Hugging Face hub answers."""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import sys
from typing import Any

from benchmark.errors import OfflineError

OFFLINE = "KDBENCH_OFFLINE"
"""Environment variable by which processes that this one starts know that they are offline."""
_PROBE_SECONDS = 10
_TOLD = {
    OFFLINE: "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",  # it connects by itself, not through Python
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
_OUTWARD = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOK_UP = {"socket.getaddrinfo", "socket.gethostbyname"}
# Who carries a request out is not who asked for it.
_CARRIERS = {"asyncio", "socket", "ssl", "http", "urllib", "urllib3", "requests", "anyio", "h11"}
_CARRIERS |= {"httpx", "httpx2", "httpcore", "httpcore2", "socks", "concurrent", "threading"}


def go_offline() -> None:
    """From now on no connection is made from this process, nor from those that it starts.

    The libraries that would make one are told so, which is why this comes before they are imported.
    Whoever still tries, directly or through another library, gets an ``OfflineError`` that names
    it: Python itself reports every connection before it is made. Connections to this machine stay
    possible. Processes that are started later inherit the environment and call ``follow_parent``.
    """
    os.environ.update(_TOLD)
    _guard()


def follow_parent() -> None:
    """Go offline if the process that started this one is."""
    if offline():
        go_offline()


def offline() -> bool:
    """Whether no connection may be made."""
    return bool(os.environ.get(OFFLINE))


@functools.cache
def _guard() -> None:
    sys.addaudithook(_refuse_connections)  # stays as long as the process


def _refuse_connections(event: str, arguments: tuple[Any, ...]) -> None:
    """What Python calls before it does anything that can be watched."""
    if event not in _OUTWARD and event not in _LOOK_UP:
        return
    if not offline():
        return
    if event in _LOOK_UP:
        host = arguments[0]
    elif arguments[0].family not in (socket.AF_INET, socket.AF_INET6) or not arguments[1]:
        return  # a socket of this machine
    else:
        host = arguments[1][0]
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if not _is_here(name):
        raise OfflineError(
            f"{_asker()} asks for a connection to {name}, but none may be made (--offline).\n"
            "Leave --offline out, or fetch what is missing where there is a connection: "
            "'kdbench data fetch' for data sets, 'hf download' for published weights."
        )


def _is_here(host: str | None) -> bool:
    """Whether a host is this machine."""
    if not host or host in ("localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _asker() -> str:
    """The innermost package and file that does more than carry requests out."""
    frame = sys._getframe(2)
    while frame is not None:
        package = frame.f_globals.get("__name__", "?").partition(".")[0]
        if package not in _CARRIERS:
            return f"{package} ({frame.f_code.co_filename}, line {frame.f_lineno})"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "a library"


def endpoint() -> str:
    """Address of the hub."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def reachable() -> bool:
    """Whether the hub may be asked and answers; asked once a process."""
    return not offline() and _answers()


@functools.cache
def _answers() -> bool:
    """Whether the hub answers at all, within seconds and without retries.

    Without a connection its client tries for half a minute for every file; asked for local files
    alone it answers at once.
    """
    from huggingface_hub import get_session
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        get_session().head(endpoint(), timeout=_PROBE_SECONDS)
    except OfflineModeIsEnabled:
        return False
    except Exception:  # whatever the HTTP library raises means no connection
        return False
    return True


def no_answer() -> str:
    """Why the hub was not asked, or that it did not answer."""
    if offline():
        return "no connection may be made (--offline), and its local cache has no such files."
    return f"{endpoint()} does not answer, and its local cache has no such files."


def show_bars(shown: bool) -> None:
    """Let the client draw its progress bars, or not."""
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if shown else disable_progress_bars)()
