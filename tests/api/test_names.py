"""The public names are there, are all listed, and cost nothing until they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark


@pytest.mark.parametrize("name", benchmark.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(benchmark, name)
    assert name in dir(benchmark)


def test_type_checkers_know_the_same_names() -> None:
    tree = ast.parse(Path(benchmark.__file__).read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    known = {a.name for node in block.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert known | {"__version__"} == set(benchmark.__all__)
    assert set(benchmark._HOME) == known


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_teacher'"):
        _ = benchmark.load_teacher  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, benchmark; print({'torch', 'pandas', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
