"""What all commands share: help, errors, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli.app import main
from benchmark.processes import RANKED
from tests.cli.called import Kdbench


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--recipe", "kdd"], "Did you mean 'kd'?"),
        (["run", "--dataset", "cifar10", "--recipe", "kd"], "Did you mean 'cifar100'?"),
        (["run", "--dataset", "cifar100"], "needs at least one --recipe"),
        (["run", "--retry", "everything"], "--retry"),
        (["run", "--no-such-option"], "--no-such-option"),
        (["list", "recipe"], "recipes"),
        (["shwo"], "Did you mean 'show'?"),
        (["train"], "Did you mean 'run'?"),
        (["download", "cub50"], "Did you mean 'data fetch'?"),
        (["data", "chek"], "Did you mean 'check', 'cache'?"),
        (["sing"], "No such command 'sing'."),
        (["show", "nothing/here"], "there is no record"),
        (["new", "recipe", "My Method"], "Use lower case"),
        (["new", "recipe", "kd"], "exists"),
        (["new", "dataset", "My Birds", "--from", "."], "Use lower case"),
        (["new", "dataset", "birds", "--from", "nowhere"], "Correct --from"),
        (["new", "dataset", "birds", "--from", "."], "in no known layout"),
        (
            ["run", "--dataset", "cifar100", "--recipe", "kd", "--data", "nowhere"],
            "the data folder nowhere does not exist",
        ),
        (
            ["run", "--dataset", "cifar100", "--pair", "resnet20:resnet8", "--recipe", "kd",
             "--teacher-checkpoint", "nowhere.pt"],
            "nowhere.pt",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_message_and_exit_code_2(
    kdbench: Kdbench, words: list[str], message: str
) -> None:
    code, _, err = kdbench(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not list(Path().rglob("*.json"))


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_who_watches_is_told_at_once_and_a_program_gets_nothing_but_json() -> None:
    watched, terminal = os.openpty()
    words = ["-m", "benchmark", "list", "suites", "--json"]
    environment = {name: v for name, v in os.environ.items() if name not in RANKED}
    done = subprocess.run(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    os.close(terminal)
    shown = os.read(watched, 10_000).decode()
    os.close(watched)
    assert shown == "loading what 'kdbench list' needs …\r\x1b[K"
    assert {"quick"} <= {suite["name"] for suite in json.loads(done.stdout)}


def test_debug_shows_the_traceback(kdbench: Kdbench) -> None:
    from benchmark.errors import UnknownName

    with pytest.raises(UnknownName):
        main(["--debug", "run", "--recipe", "kdd"])


@pytest.mark.parametrize(
    "words", [["--help"], ["doctor", "--help"], ["list", "recipes"], ["list", "datasets"]]
)
def test_help_and_lists_do_without_torch(
    words: list[str], cache_dir: Path, kdbench: Kdbench
) -> None:
    kdbench("list", "recipes")  # fills the index
    code = (
        "import sys, benchmark.cli.app\n"
        "try:\n"
        f"    benchmark.cli.app.main({words!r})\n"
        "except SystemExit:\n"
        "    print('torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"


def test_a_plan_does_without_the_compiler(kdbench: Kdbench, tiny_words: list[str]) -> None:
    words = ["plan", *tiny_words, "--recipe", "*"]
    code = (
        "import gc, sys, benchmark.cli.app\n"
        "try:\n"
        f"    benchmark.cli.app.main({words!r})\n"
        "except SystemExit as end:\n"
        "    slow = {'torch._dynamo', 'sympy', 'timm', 'datasets', 'pyarrow'} & set(sys.modules)\n"
        "    print(end.code, sorted(slow), gc.get_freeze_count() > 0, file=sys.stderr)\n"
    )
    kdbench(*words)  # fills the index of networks
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 [] True"
