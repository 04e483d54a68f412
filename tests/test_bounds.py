"""The engine keeps its size: what a reader can take in at once."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "benchmark").rglob("*.py"))
LINES = {"module": 400, "class": 200, "function": 50}
MODULES = 15  # in a folder
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc"}


def over_bounds(file: Path) -> Iterator[str]:
    """What of a file a reader cannot take in, and what its types do not say."""
    text, name = file.read_text("utf-8"), file.relative_to(ROOT).as_posix()
    if len(text.splitlines()) > LINES["module"]:
        yield f"{name}: too long"
    if "type: ignore" in text:
        yield f"{name}: type: ignore"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert):
            yield f"{name}: assert"
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            if (node.end_lineno or 0) - node.lineno >= LINES[kind]:
                yield f"{name}: {node.name} is too long"


def test_modules_classes_and_functions_are_small_and_typed() -> None:
    found = {fault for file in FILES for fault in over_bounds(file)}
    folders = Counter(file.parent.relative_to(ROOT).as_posix() for file in FILES)
    found |= {f"{folder}: too many modules" for folder, n in folders.items() if n > MODULES}
    assert found == set()


def test_names_say_what_is_in_a_module() -> None:
    named = {part for file in FILES for part in file.relative_to(ROOT).with_suffix("").parts}
    assert named & FORBIDDEN_NAMES == set()


def test_every_folder_with_modules_is_a_package() -> None:
    """Else neither the linter of imports nor the wheel's tests see it."""
    folders = {file.parent for file in FILES}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []
