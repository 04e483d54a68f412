"""What the guides show of the code is what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from benchmark.cards.card import HubSource, LocalCopy, Protocol

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "docs" / "add-a-recipe.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shown_recipes_stand_in_their_files(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    files = [file.read_text("utf-8") for file in (ROOT / "recipes").glob("*.py")]
    assert blocks
    for block in blocks:
        method = textwrap.indent(block, "    ", predicate=lambda line: bool(line.strip()))
        assert any(block in file or method in file for file in files), block


def test_shown_parts_of_cards_are_valid() -> None:
    page = (ROOT / "docs" / "add-a-data-set.md").read_text("utf-8")
    checked = set()
    for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
        values = tomllib.loads(block)
        for name, protocol in values.get("protocols", {}).items():
            checked.add(Protocol.model_validate({"name": name} | protocol).name)
        source = values.get("source", {})
        for copy in source.get("local", ()):
            checked.add(LocalCopy.model_validate(copy).layout)
        if "kind" in source:
            checked.add(HubSource.model_validate(source).hub)
    assert {"scratch", "finetune", "aircraft", "bentrevett/caltech-ucsd-birds-200-2011"} <= checked


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_guide_to_python_runs(tmp_path: Path, cache_dir: Path) -> None:
    guide = (ROOT / "docs" / "use-from-python.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    program = tmp_path / "guide.py"
    program.write_text("\n\n".join(blocks), "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 cells need 4 trainings" in done.stdout  # the teacher as well
    assert "exit code 0" in done.stdout
    assert re.search(r"^sketchbirds/resnet14__resnet8/crd\S*/seed0 ok ", done.stdout, re.MULTILINE)
    assert re.search(r"^(sketchbirds)? +kd\[temperature=2\] +\d", done.stdout, re.MULTILINE)
    assert re.search(r"^class \d+ embedding \(1, 64\)$", done.stdout, re.MULTILINE)
