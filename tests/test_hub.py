"""Offline: no connection leaves this machine, and whoever asks for one is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cards.test_card import CARD, write_card
from tests.cards.test_hostile_cards import FETCHED

ROOT = Path(__file__).parents[1]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own: what watches connections stays as long as it does."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200, check=False,
    )  # fmt: skip


ATTEMPT = """
import socket, sys
from benchmark import hub
from benchmark.errors import OfflineError
hub.go_offline()
try:
    {attempt}
except OfflineError as error:
    print(error)
"""
ATTEMPTS = [
    "socket.create_connection(('192.0.2.1', 80), timeout=1)",
    "socket.socket().connect_ex(('192.0.2.1', 80))",
    "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))",
    "socket.getaddrinfo('example.org', 80)",
    "socket.gethostbyname('example.org')",
    "import urllib.request; urllib.request.urlopen('https://example.org')",
    "import asyncio; asyncio.run(asyncio.open_connection('192.0.2.1', 80))",
    "import huggingface_hub; huggingface_hub.get_session().get('https://huggingface.co')",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_offline_refuses_every_way_out_and_names_who_asked(attempt: str) -> None:
    done = run(ATTEMPT.format(attempt=attempt))
    if "huggingface_hub" in attempt and "OfflineModeIsEnabled" in done.stderr:
        return  # it has been told, and refuses by itself
    assert "asks for a connection to" in done.stdout, done.stderr
    assert "__main__ (<string>" in done.stdout or "huggingface_hub (" in done.stdout
    assert "(--offline)" in done.stdout


def test_this_machine_can_be_reached() -> None:
    done = run(
        "import socket; from benchmark import hub; hub.go_offline()\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
        "socket.getaddrinfo('localhost', 80); socket.getaddrinfo(socket.gethostname(), 80)\n"
        "left, right = socket.socketpair(); left.send(b'x'); print(right.recv(1))"
    )
    assert done.stdout == "b'x'\n", done.stderr


def test_processes_that_are_started_stay_offline() -> None:
    child = (
        "import os; from benchmark import hub; hub.follow_parent(); "
        "print(os.environ['HF_HUB_OFFLINE'], hub.reachable()); "
        "import socket; socket.create_connection(('192.0.2.1', 80))"
    )
    done = run(
        "import subprocess, sys; from benchmark import hub; hub.go_offline(); "
        f"subprocess.run([sys.executable, '-c', {child!r}])"
    )
    assert done.stdout == "1 False\n"
    assert "OfflineError" in done.stderr


WATCHED = """
import sys
from benchmark import hub
hub.go_offline()
seen = []
sys.addaudithook(lambda event, values: seen.append((event, values)) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.sendto") and isinstance(values[1], tuple)
    else None)
from benchmark.cli import main
try:
    main(sys.argv[1:])
finally:
    print("connections:", seen)
"""


def test_a_run_makes_no_connection(tmp_path: Path) -> None:
    write_card(tmp_path, "leaves", CARD.replace("image_size = 8", "image_size = 16"))
    done = run(
        WATCHED, "run", "--path", tmp_path, "--dataset", "leaves", "--protocol", "short[epochs=1]",
        "--recipe", "vanilla", "--recipe", "kd", "--seeds", "1", "--runs", tmp_path / "runs",
        "--results", tmp_path / "results",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("connections: []\n")


def test_data_of_the_hub_say_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    text = FETCHED.replace('[[augmentation]]\nname = "random_crop"\npadding = 4', "")
    write_card(tmp_path, "leaves", text)
    done = run(WATCHED, "data", "check", "leaves", "--path", tmp_path)
    assert "no connection may be made (--offline)" in done.stderr
    assert "hf download --repo-type dataset somebody/leaves" in done.stderr
    assert "connections: []" in done.stdout


def test_an_archive_is_not_fetched_offline(tmp_path: Path) -> None:
    write_card(tmp_path, "leaves", FETCHED)
    done = run(
        WATCHED, "data", "fetch", "leaves", "--archive", "--to", tmp_path, "--path", tmp_path
    )
    assert done.returncode == 2
    assert "asks for a connection to example.org" in done.stderr
    assert "(--offline)" in done.stderr
