"""What ``make setup`` would do, told by ``make --dry-run``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("MAKE", "TORC")  # how names begin that would change what make says
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="this system has no make")


def setup(venv: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--dry-run", "setup", f"VENV={venv}", *words],
        cwd=ROOT,
        # As a person calls it, also where make itself runs the tests.
        env={name: value for name, value in os.environ.items() if name[:4] not in WORDS},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_how_large_it_is_before_anything_is_done(tmp_path: Path) -> None:
    first, *rest = setup(tmp_path / "venv").stdout.splitlines()
    assert "6.6 GB on Linux" in first
    assert "make setup TORCH=cpu" in first
    assert not any("index-url" in line for line in rest)


def test_torch_for_the_cpu_comes_first_and_from_its_own_index(tmp_path: Path) -> None:
    lines = setup(tmp_path / "venv", "TORCH=cpu").stdout.splitlines()
    installs = [line for line in lines if "pip install" in line]
    assert "2.1 GB" in lines[0]
    assert "--index-url https://download.pytorch.org/whl/cpu" in installs[0]
    assert "--editable '.[dev]'" in installs[1]


def test_another_word_is_refused(tmp_path: Path) -> None:
    done = setup(tmp_path / "venv", "TORCH=gpu")
    assert done.returncode != 0
    assert "TORCH=gpu: write cpu, or leave it out" in done.stderr
