"""Where recipes come from, and how their files are imported."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from pathlib import Path

import pytest

from benchmark import folders
from benchmark.errors import RecipeError, UsageError
from benchmark.folders import search_folders
from benchmark.recipe.discovery import load_recipes
from tests.recipe.recipe_files import write_recipe

# Folders


def test_a_missing_path_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="--path: there is no folder 'nowhere'"):
        load_recipes(["nowhere"])


def test_a_folder_may_have_subfolders_or_the_files_themselves(tmp_path: Path) -> None:
    write_recipe(tmp_path / "house" / "recipes", "mine.py", "mine")
    write_recipe(tmp_path / "flat", "other.py", "other")
    catalogue = load_recipes([tmp_path / "house", tmp_path / "flat"])
    assert {"mine", "other", "kd"} <= set(catalogue)


def test_folders_of_the_environment_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path / "a", "first.py", "first")
    write_recipe(tmp_path / "b", "second.py", "second")
    monkeypatch.setenv("KDBENCH_PATH", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert {"first", "second"} <= set(load_recipes())


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
    assert "fine" in catalogue
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
    assert "from-a" in load_recipes([tmp_path / "a"])
    later = load_recipes([tmp_path / "b"])
    assert "from-b" in later
    assert "from-a" not in later


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
    assert "theirs" in catalogue
    assert "no_such_package" in catalogue.broken[Path("kdbench.recipes/gone")]
    monkeypatch.delitem(sys.modules, "their_package")


def test_the_digest_is_that_of_the_file_when_it_was_imported(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "mine.py", "mine")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    info = load_recipes([tmp_path]).get("mine")
    path.write_text(path.read_text() + "WEIGHT = 2  # edited while a run goes on\n")
    assert info.source.text == digest


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
    assert "kd" in catalogue
    [message] = catalogue.broken.values()
    assert "recipe 'half' does not define first_terms" in message


@pytest.mark.parametrize("value", ["3.0", "4", "'cosine'", "True"])
def test_a_value_without_a_type_is_refused_for_it_would_be_no_setting(
    value: str, tmp_path: Path
) -> None:
    path = write_recipe(tmp_path, "mine.py", "mine")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("weight: float = 0.5", f"weight: float = 0.5\n    kind = {value}"))
    [reason] = load_recipes([tmp_path]).broken.values()
    assert f"'kind = {value}' has no type" in reason
    assert f"'kind: ClassVar[{type(ast.literal_eval(value)).__name__}] = {value}'" in reason


def test_what_says_that_it_is_no_setting_and_what_a_base_has_typed_is_none_of_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text(
        '"""Derives from KD."""\n'
        "from typing import ClassVar\n"
        "from benchmark import register\n"
        "from .kd import KD\n"
        "@register('mine', family='logits')\n"
        "class Mine(KD):\n"
        "    temperature = 2.0\n"
        "    kind: ClassVar[str] = 'cosine'\n"
        "    _rows = 4\n"
    )
    catalogue = load_recipes([tmp_path])
    assert not catalogue.broken
    defaults = {
        name: field.default
        for name, field in catalogue.get("mine").cls.settings_model.model_fields.items()
    }
    assert defaults["temperature"] == 2.0
    assert not {"kind", "_rows"} & set(defaults)


def test_a_family_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "mine.py", "mine")
    path.write_text(path.read_text(encoding="utf-8").replace('"logits"', '"logit"'))
    [reason] = load_recipes([tmp_path]).broken.values()
    assert "unknown family 'logit'. Did you mean 'logits'?" in reason
    assert "contrastive" in reason
