"""The command where something else is called as its package is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = "open('ran', 'w')\n"  # leaves a file behind if it is run


def called(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-m", "kdbench", "--version"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["benchmark.py", "benchmark/__init__.py"])
def test_a_foreign_module_of_its_name_is_named_and_not_run(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(FOREIGN)
    done = called(tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: {file} hides the package 'benchmark' of kdbench: Python looks there first.\n"
        f"Rename it, or call kdbench in another folder, and without {file.parent} in PYTHONPATH.\n"
    )
    assert not (tmp_path / "ran").exists()


def test_where_python_does_not_look_there_first_it_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "benchmark.py").write_text(FOREIGN)
    done = called(tmp_path, "-P")  # as for the installed command
    assert (done.returncode, done.stdout) == (0, f"kdbench {benchmark.__version__}\n")


def test_a_folder_of_its_name_without_python_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "benchmark").mkdir()
    done = called(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
