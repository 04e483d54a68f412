"""The page of recipes is what their files say, and GitHub can show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from benchmark.catalogues.pages import recipe_page
from benchmark.errors import UsageError
from benchmark.folders import builtin_folder
from benchmark.recipe.discovery import load_recipes

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "recipes.md"
MINE = '''"""Mine | yours: it has a bar.

    L = a_b * |c|

        + d

Where *a* is not b.

    L = 2

Someone, arXiv:2101.00001.
"""
from typing import Annotated, Literal
from pydantic import Field
from benchmark import Recipe, register

@register("mine", family="other", paper="arXiv:2101.00001", version=3, needs={"maps"})
class Mine(Recipe):
    level: int | None = None  # not | given
    share: Annotated[float, Field(gt=0, le=0.25)] = 0.2
    form: Literal["a", "b"] = "a"
    def forward(self, batch, student, teacher):
        return {}
'''


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the built-in recipes, as it would stand in docs/."""
    text, broken = recipe_page([], tmp_path_factory.mktemp("cache"), PAGE.parent)
    assert broken == ()
    return text


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """The page of a folder of one's own."""
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    text, broken = recipe_page([tmp_path], tmp_path / "cache", tmp_path / "docs")
    assert broken == ()
    return text


def tokens(text):
    return MarkdownIt("commonmark").enable("table").parse(text)


def fences(text):
    return [token.content for token in tokens(text) if token.type == "fence"]


def test_the_committed_page_is_up_to_date(page: str) -> None:
    if PAGE.read_text(encoding="utf-8") != page:
        pytest.fail("docs/recipes.md is not what today's recipes give: run 'make pages'")


def test_every_recipe_has_a_section_and_a_line_in_the_index(page: str) -> None:
    names = set(load_recipes())
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) == names
    assert set(re.findall(r"^\| \[(.+?)\]\(#\1\)", page, re.MULTILINE)) == names


def test_every_equation_stands_there_as_written(page: str) -> None:
    shown = "\n".join(fences(page))
    for info in load_recipes().values():
        docstring = Path(info.path).read_text(encoding="utf-8").split('"""')[1]
        equations = [line[4:] for line in docstring.splitlines() if line.startswith("    ")]
        assert equations, f"{info.name}: its docstring has no indented equation"
        for line in equations:
            assert f"{line}\n" in shown, f"{info.name}: an equation needs blank lines around it"


def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((.+?)\)", page)
    anchors = {f"#{name}" for name in re.findall(r"^### (.+)$", page, re.MULTILINE)}
    for link in links:
        if link.startswith("#"):
            assert link in anchors
        elif not link.startswith("https://arxiv.org/abs/"):
            assert (PAGE.parent / link).resolve().parent == builtin_folder("recipes")
            assert (PAGE.parent / link).is_file()


def test_it_says_nothing_of_this_machine(page: str) -> None:
    assert str(ROOT) not in page
    assert str(Path.home()) not in page


def test_every_table_line_is_part_of_a_table(page: str) -> None:
    parsed = tokens(page)
    rows = sum(token.type == "tr_open" for token in parsed)
    rules = sum(token.type == "table_open" for token in parsed)
    lines = sum(line.startswith("|") for line in page.splitlines())
    assert lines == rows + rules
    cells = [token for token in parsed if token.type in ("th_open", "td_open")]
    bars = sum(
        len(re.findall(r"(?<!\\)\|", line)) - 1
        for line in page.splitlines()
        if line.startswith("|") and not line.startswith("|-")
    )
    assert len(cells) == bars


def test_the_examples_are_settings_that_recipes_take(page: str) -> None:
    catalogue = load_recipes()
    examples = re.findall(r"--recipe '([a-z-]+)\[(\w+)=(\S+)\]'", page)
    assert len(examples) > len(catalogue.values()) / 2
    for name, setting, value in examples:
        recipe = catalogue.get(name).cls
        defaults = recipe.check_settings({})
        assert recipe.check_settings({setting: value})[setting] != defaults[setting]


def test_a_recipe_of_ones_own(mine: str) -> None:
    assert re.findall(r"^### (.+)$", mine, re.MULTILINE) == ["mine"]
    assert "## Other" in mine
    assert fences(mine)[:2] == ["L = a_b * |c|\n\n    + d\n", "L = 2\n"]
    assert "Where \\*a\\* is not b." in mine
    assert "file: [" in mine
    assert "](../mine.py)" in mine
    assert "reads: logits, maps · version: 3" in mine
    rows = [re.split(r" *\| *", line) for line in mine.splitlines() if line.startswith("| `")]
    assert ["", "`share`", "float > 0 and ≤ 0.25", "`0.2`", "", ""] in rows
    assert ["", "`form`", "`a` or `b`", "`a`", "", ""] in rows
    assert "not \\| given" in mine
    assert "$ kdbench run --recipe 'mine[share=0.1]'" in mine  # twice 0.2 is out of bounds
    tables = [token.content for token in tokens(mine) if token.type == "inline"]
    assert "Mine | yours: it has a bar." in tables


def test_a_broken_file_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "bad.py").write_text("import no_such_package\n", encoding="utf-8")
    text, broken = recipe_page([tmp_path], tmp_path / "cache", tmp_path)
    assert "### mine" in text
    assert [line.partition(": ")[0] for line in broken] == [str(tmp_path / "bad.py")]


def test_a_folder_without_a_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no recipe in"):
        recipe_page([tmp_path], tmp_path / "cache", tmp_path)
