"""The floors in the guides are those that the linter checks, and every room stands on one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]
CONTRACT = next(
    contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    if contract["type"] == "layers"
)
FLOORS = [layer.replace("benchmark.", "") for layer in CONTRACT["layers"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_floors_of_a_guide_are_the_linters(page: Path) -> None:
    blocks = re.findall(r"```\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    [floors] = [block for block in blocks if block.startswith("cli")]
    assert [re.split(r" {2,}", line)[0] for line in floors.splitlines()] == FLOORS


def test_every_room_stands_on_a_floor() -> None:
    package = ROOT / "benchmark"
    modules = {file.stem for file in package.glob("*.py") if not file.stem.startswith("__")}
    rooms = {file.parent.name for file in package.glob("*/__init__.py")}
    assert modules | rooms == {room for floor in FLOORS for room in floor.split(" | ")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_guide_names_of_the_code_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:benchmark|tests|recipes|datasets)/[^`\s]*)`", page.read_text()))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_one_room_knows_rich() -> None:
    package = ROOT / "benchmark"
    knowing = [
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if re.search(r"^\s*(from|import) rich\b", file.read_text("utf-8"), re.MULTILINE)
    ]
    assert knowing
    assert [file for file in knowing if not file.startswith("reports/terminal/")] == []
