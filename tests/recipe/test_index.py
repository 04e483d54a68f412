"""The index answers for recipes that nobody imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmark import folders
from benchmark.recipe.index import describe_recipes
from tests.recipe.recipe_files import write_recipe


def test_descriptions_tell_what_a_list_shows(tmp_path: Path) -> None:
    write_recipe(tmp_path, "mine.py", "mine")
    (tmp_path / "bad_one.py").write_text("raise ValueError('no')\n")
    found = {entry.name: entry for entry in describe_recipes([tmp_path], tmp_path / "cache")}
    mine = found["mine"]
    assert (mine.family, mine.version, mine.needs) == ("logits", 1, ["embedding"])
    assert mine.settings == {"weight": {"type": "float", "default": 0.5}}
    assert mine.summary == "Does nothing new."
    assert found["th-kd"].settings["form"]["type"] == "'published' | 'paper'"
    assert found["bad-one"].error == "ValueError: no (line 1)"


def test_the_index_answers_without_torch_until_a_file_changes(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "my_recipes", "mine.py", "mine")
    first = describe_recipes([path.parent], tmp_path / "cache")
    assert describe_recipes([path.parent], tmp_path / "cache") == first
    program = (
        "import sys; from pathlib import Path\n"
        "from benchmark.recipe.index import describe_recipes\n"
        f"found = describe_recipes([{str(path.parent)!r}], Path({str(tmp_path / 'cache')!r}))\n"
        "print(len(found), 'torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=folders.PACKAGE.parent,
    )
    assert answer.stdout.split() == [str(len(first)), "False"]

    write_recipe(path.parent, "another.py", "another")
    assert "another" in {e.name for e in describe_recipes([path.parent], tmp_path / "cache")}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert describe_recipes([], tmp_path / "file" / "cache")


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    good = describe_recipes([], tmp_path)
    (index,) = tmp_path.glob("recipes-*.json")
    index.write_text('[{"name": ')
    assert describe_recipes([], tmp_path) == good
