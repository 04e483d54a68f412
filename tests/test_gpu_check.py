"""The one command for whoever has a GPU, tried without one."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from benchmark.cli.app import app
from tests import gpu_check
from tests.gpu_check import Part, check, has_cifar100, last_line, main, outcomes, parts, passed


def part(name: str, program: str, limit_s: float = 60.0) -> Part:
    return Part(name, [sys.executable, "-c", program], limit_s, last_line)


def test_every_part_has_its_end(tmp_path: Path) -> None:
    """Also one that ignores the polite signal and starts a process that outlives it."""
    endless = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    todo = [
        part("good", "print('all is'); print('well')"),
        part("not good", "import sys; print('why', file=sys.stderr); sys.exit(3)"),
        part("end less", endless, limit_s=2.0),
    ]
    done = {found.name: found for found in check(todo, tmp_path, stand_in=True)}
    assert (done["good"].state, done["good"].told) == ("passed", "well")
    assert (done["not good"].state, done["not good"].told) == ("failed", "exit code 3: why")
    assert (done["end less"].state, done["end less"].told) == (
        "did not fit", "ended after its limit of 2 s",
    )  # fmt: skip
    if child := (tmp_path / "end-less.out").read_text().strip():  # else it had not come so far
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(child))
            while process.status() != psutil.STATUS_ZOMBIE:  # pytest's own limit ends it if not
                time.sleep(0.05)
    assert (tmp_path / "not-good.err").read_text() == "why\n"


def test_what_the_whole_leaves_no_time_for_is_said(tmp_path: Path) -> None:
    [done] = check([part("late", "print(1)")], tmp_path, stand_in=True, whole_s=0.0)
    assert done.state == "did not fit"
    assert not (tmp_path / "late.out").exists()


def test_the_parts_fit_into_nine_minutes() -> None:
    todo = parts(Path("x"), None, stand_in=False)
    assert sum(found.limit_s for found in todo) <= gpu_check.WHOLE_S < 9 * 60


def test_real_data_are_taken_where_they_are(tmp_path: Path) -> None:
    assert not has_cifar100(tmp_path)
    assert "sketchbirds" in parts(Path("x"), tmp_path, stand_in=False)[2].words
    (tmp_path / "cifar-100-python.tar.gz").touch()
    assert "cifar100" in parts(Path("x"), tmp_path, stand_in=False)[2].words


@pytest.mark.parametrize("stand_in", [True, False])
def test_its_commands_have_options_that_exist(tmp_path: Path, stand_in: bool) -> None:
    from typer.main import get_command

    commands, tried = get_command(app), set()
    for found in parts(tmp_path, None, stand_in=stand_in):
        if "benchmark" in found.words:
            words = list(found.words[3:])
            command = commands.get_command(None, words[0])  # type: ignore[attr-defined, arg-type]
            command.make_context(words[0], words[1:])
            tried.add(words[0])
    assert tried == {"doctor", "speed", "run"}


def test_skipped_tests_are_no_passed_ones() -> None:
    assert passed("..\n12 passed, 3000 deselected in 9s\n")[0] == "passed"
    assert passed("\n12 skipped, 3000 deselected in 9s\n")[0] == "left out"


def test_the_outcomes_of_a_run_are_counted() -> None:
    assert outcomes('{"outcomes": {"recorded": 2, "failed": 0}}')[1] == "2 recorded, 0 failed"


def test_a_cpu_never_passes_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu_check, "parts", lambda *given, **named: [part("one", "print('fine')")])
    words = ["--folder", str(tmp_path / "check")]
    assert main(words) == 2
    assert "no CUDA device" in capsys.readouterr().out
    assert not (tmp_path / "check").exists()
    assert main([*words, "--stand-in", "cpu"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("nothing here was measured on a GPU") == 2  # before and after
    [file] = (tmp_path / "check").glob("*/report.json")
    report = json.loads(file.read_text())
    assert report["stand_in"] is True
    assert report["device"] == "CPU in the place of a GPU"
    assert [found["state"] for found in report["parts"]] == ["passed"]
