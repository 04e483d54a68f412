"""Names, and where recipes come from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import folders
from benchmark.errors import BenchmarkError, RecipeError, UnknownName, UsageError
from benchmark.folders import search_folders
from benchmark.recipe.discovery import describe_recipes, load_recipes, source_digest
from benchmark.registry import Registry

RECIPE = '''"""Does nothing new."""
from benchmark import Recipe, register

@register("{name}", family="logits", needs={{"embedding"}})
class Mine(Recipe):
    weight: float = 0.5
    def forward(self, batch, student, teacher):
        return {{"zero": self.weight * student.logits.sum() * 0}}
'''


@pytest.fixture(autouse=True)
def _only_builtin_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDBENCH_PATH", raising=False)


def write_recipe(folder: Path, file: str, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    path.write_text(RECIPE.format(name=name), encoding="utf-8")
    return path


# Registry


def test_registry_suggests_the_near_name() -> None:
    registry: Registry[int] = Registry("recipe", "Look there.")
    registry.add("th-kd", 1, "a.py")
    with pytest.raises(UnknownName, match=r"unknown recipe 'th_kd'\. Did you mean 'th-kd'\?\nLook"):
        registry.get("th_kd")


def test_registry_refuses_duplicates_and_names_both_files() -> None:
    registry: Registry[int] = Registry("recipe")
    registry.add("kd", 1, "one/kd.py")
    with pytest.raises(BenchmarkError, match=r"(?s)two recipes.*'kd'.*one/kd\.py.*two/kd\.py"):
        registry.add("kd", 2, "two/kd.py")


def test_registry_is_sorted() -> None:
    registry: Registry[int] = Registry("thing")
    for name, value in [("b", 2), ("c", 3), ("a", 1)]:
        registry.add(name, value, "here")
    assert list(registry) == ["a", "b", "c"]
    assert registry.values() == [1, 2, 3]
    assert "a" in registry
    assert len(registry) == 3


# Folders


def test_a_missing_path_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="--path: there is no folder 'nowhere'"):
        load_recipes(["nowhere"])


def test_a_folder_may_have_subfolders_or_the_files_themselves(tmp_path: Path) -> None:
    write_recipe(tmp_path / "house" / "recipes", "mine.py", "mine")
    write_recipe(tmp_path / "flat", "other.py", "other")
    catalogue = load_recipes([tmp_path / "house", tmp_path / "flat"])
    assert {"mine", "other", "kd"} <= set(catalogue.registry)


def test_folders_of_the_environment_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path / "a", "first.py", "first")
    write_recipe(tmp_path / "b", "second.py", "second")
    monkeypatch.setenv("KDBENCH_PATH", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert {"first", "second"} <= set(load_recipes().registry)


def test_a_folder_given_twice_counts_once(tmp_path: Path) -> None:
    write_recipe(tmp_path, "mine.py", "mine")
    assert search_folders("recipes", [tmp_path, tmp_path]).count(tmp_path.resolve()) == 1


def test_bundled_copies_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "benchmark"
    monkeypatch.setattr(folders, "PACKAGE", package)
    assert folders.builtin_folder("datasets") == tmp_path / "datasets"
    (package / "_bundled" / "datasets").mkdir(parents=True)
    assert folders.builtin_folder("datasets") == package / "_bundled" / "datasets"


# Recipe files


def test_a_broken_file_is_listed_and_stops_nothing(tmp_path: Path) -> None:
    write_recipe(tmp_path, "fine.py", "fine")
    (tmp_path / "bad_import.py").write_text("import torch\n\nimport no_such_thing\n")
    (tmp_path / "bad_syntax.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "no_recipe.py").write_text("x = 1\n")
    catalogue = load_recipes([tmp_path])
    errors = {path.name: error for path, error in catalogue.broken.items()}
    assert "fine" in catalogue.registry
    assert errors["bad_import.py"].startswith("ModuleNotFoundError: No module named")
    assert errors["bad_import.py"].endswith("(line 3)")
    assert errors["bad_syntax.py"].endswith("(line 2)")
    assert "registers no recipe" in errors["no_recipe.py"]
    with pytest.raises(RecipeError, match=r"(?s)'bad-import' could not be imported.*no_such_thing"):
        catalogue.get("bad-import")


def test_two_recipes_of_one_name_are_an_error_that_names_both(tmp_path: Path) -> None:
    mine = write_recipe(tmp_path, "mine.py", "kd")
    builtin = folders.builtin_folder("recipes") / "kd.py"
    with pytest.raises(RecipeError) as caught:
        load_recipes([tmp_path])
    assert str(mine) in str(caught.value)
    assert str(builtin) in str(caught.value)


def test_recipes_import_each_other_across_folders(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a", "base.py", "base")
    (tmp_path / "a" / "_constants.py").write_text("WEIGHT = 3.0\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "derived.py").write_text(
        '"""Derived."""\n'
        "from benchmark import register\n"
        "from ._constants import WEIGHT\n"
        "from .base import Mine\n"
        "from .crd import ContrastiveLoss\n"
        '@register("derived", family="logits")\n'
        "class Derived(Mine):\n"
        "    weight: float = WEIGHT\n"
    )
    catalogue = load_recipes([tmp_path / "a", tmp_path / "b"])
    assert catalogue.broken == {}
    assert catalogue.get("derived").cls().weight == 3.0
    assert catalogue.get("base").cls().weight == 0.5


def test_a_file_name_may_be_used_in_two_folders(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "kd.py", "my-kd")
    catalogue = load_recipes([tmp_path])
    assert catalogue.get("my-kd").path == str(path)
    assert catalogue.get("kd").path != str(path)


def test_a_later_search_forgets_the_files_of_other_folders(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a", "mine.py", "from-a")
    write_recipe(tmp_path / "b", "mine.py", "from-b")
    assert "from-a" in load_recipes([tmp_path / "a"]).registry
    later = load_recipes([tmp_path / "b"])
    assert "from-b" in later.registry
    assert "from-a" not in later.registry


def test_an_installed_package_may_bring_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path, "their_package.py", "theirs")
    (tmp_path / "their_package-1.0.dist-info").mkdir()
    (tmp_path / "their_package-1.0.dist-info" / "entry_points.txt").write_text(
        "[kdbench.recipes]\ntheirs = their_package\ngone = no_such_package\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = load_recipes()
    assert "theirs" in catalogue.registry
    assert "no_such_package" in catalogue.broken[Path("kdbench.recipes/gone")]
    monkeypatch.delitem(sys.modules, "their_package")


def test_the_digest_is_that_of_the_file_when_it_was_imported(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "mine.py", "mine")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    info = load_recipes([tmp_path]).get("mine")
    path.write_text(path.read_text() + "# edited while a run goes on\n")
    assert source_digest(info) == digest


# The index


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
        "from benchmark.recipe.discovery import describe_recipes\n"
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


UNFINISHED = """
from benchmark import register
from ._first_stage import WithFirstStage

@register("half", family="logits", paper="none")
class Half(WithFirstStage):
    def method_term(self, batch, student, teacher):  # misspelt, and no first_terms
        return {}
"""


def test_a_recipe_that_lacks_a_method_is_broken_and_says_which(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(UNFINISHED)
    catalogue = load_recipes([tmp_path])
    assert "kd" in catalogue.registry
    [message] = catalogue.broken.values()
    assert "recipe 'half' does not define first_terms" in message
