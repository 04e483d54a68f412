"""What signals do to a matrix: asked of a small process, which trains nothing."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from benchmark.launch import signals
from benchmark.training.halt import Halt
signals.ECHO_S = float(sys.argv[1])
for name in sys.argv[2:]:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
halt = Halt()
def say(text):
    print(text, flush=True)
    raise OSError("the terminal is gone")
def leave():
    print("leaving", flush=True)
    raise OSError("nothing to close")
with signals.stopping_at_signals(halt, say=say, leave=leave) as came:
    print("ready", flush=True)
    sys.stdin.readline()
print("asked" if halt.asked else "not asked", [signal.Signals(n).name for n in came])
"""


def start(echo_s: float, *ignored: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(echo_s), *ignored],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    heard(process, "ready")
    return process


def heard(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    assert text in process.stdout.readline()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_asks_for_a_halt_whatever_becomes_of_the_terminal(name: str) -> None:
    process = start(0.2)
    process.send_signal(getattr(signal, name))
    heard(process, "stopping")
    said, _ = process.communicate("\n", timeout=60)
    assert said == f"asked ['{name}']\n"
    assert process.returncode == 0


def test_a_signal_that_comes_twice_at_once_counts_once() -> None:
    """``timeout`` sends it to its command, and then to all processes of the group."""
    process = start(60)
    process.send_signal(signal.SIGTERM)
    heard(process, "stopping")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate("\n", timeout=60)
    assert said == "asked ['SIGTERM']\n"


def test_a_second_signal_leaves_even_if_nothing_can_be_closed() -> None:
    process = start(0)
    process.send_signal(signal.SIGINT)
    heard(process, "stopping")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert said == "leaving\n"
    assert process.returncode == -signal.SIGTERM


def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    process = start(0, "SIGHUP")
    process.send_signal(signal.SIGHUP)
    said, _ = process.communicate("\n", timeout=60)
    assert said == "not asked []\n"
