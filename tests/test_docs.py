"""What the guides show of the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "docs" / "add-a-recipe.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shown_recipes_stand_in_their_files(page: Path) -> None:
    blocks = re.findall(r"```python\n(@register.*?)```", page.read_text("utf-8"), re.DOTALL)
    files = [file.read_text("utf-8") for file in (ROOT / "recipes").glob("*.py")]
    assert blocks
    for block in blocks:
        assert any(block in file for file in files), block


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
