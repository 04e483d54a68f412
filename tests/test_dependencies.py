"""Every import is a declared dependency, so that no other package's change takes it away."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OWN = {"benchmark", "benchmark_recipes"}
EXTRAS = {"export", "ray", "slurm"}  # what they bring is imported when it is asked for
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(line for name in EXTRAS for line in PROJECT["optional-dependencies"][name]),
]


def named(requirements: list[str]) -> set[str]:
    """Normalised names of distributions, without versions."""
    names = (re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def imported(file: Path) -> Iterator[str]:
    """Top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


FILES = sorted([*(ROOT / "benchmark").rglob("*.py"), *(ROOT / "recipes").glob("*.py")])
PACKAGES = sorted({name for file in FILES for name in imported(file)} - OWN)


def test_the_files_were_found() -> None:
    assert {"torch", "pydantic", "typer"} <= set(PACKAGES)


@pytest.mark.parametrize(
    "package", [name for name in PACKAGES if name not in sys.stdlib_module_names]
)
def test_an_import_is_declared(package: str) -> None:
    distributions = importlib.metadata.packages_distributions()[package]
    assert named(distributions) & named(REQUIREMENTS), (
        f"'import {package}' needs one of {distributions} among the dependencies in pyproject.toml"
    )


def test_versions_are_pinned_for_every_dependency() -> None:
    pinned = named((ROOT / "constraints.txt").read_text("utf-8").splitlines())
    assert named(REQUIREMENTS) <= pinned
