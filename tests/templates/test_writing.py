"""New files from templates: names that can be, files that are free."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from PIL import Image

from benchmark.cards.catalogue import read_card
from benchmark.errors import UsageError
from benchmark.recipe.discovery import load_recipes
from benchmark.templates.dataset import write_dataset
from benchmark.templates.recipe import write_recipe
from benchmark.templates.writing import FOLDER, fill, new_file


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for name, value in (("dark", 40), ("light", 200)):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (40, 40), (value + number, value, 0)).save(
                    folder / f"{number}.png"
                )
    return tmp_path / "images"


def test_a_recipe_is_written_that_can_be_loaded(tmp_path: Path, cache_dir: Path) -> None:
    file = write_recipe("my-own-method", tmp_path / "mine", cache_dir)
    assert file == tmp_path / "mine" / "my_own_method.py"
    info = load_recipes([tmp_path / "mine"]).get("my-own-method")
    assert info.cls.__name__ == "MyOwnMethod"


def test_a_card_is_written_that_can_be_read(tmp_path: Path, images: Path) -> None:
    file, found = write_dataset("my-birds", images, tmp_path / "mine")
    card = read_card(file)
    assert (card.name, card.title, card.classes) == ("my-birds", "My birds", 2)
    assert found.counts == {"train": 4, "test": 4}


@pytest.mark.parametrize("name", ["My Method", "", "-x", "a_b", "a/b", "1a"])
def test_a_name_that_no_recipe_can_have(tmp_path: Path, cache_dir: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a recipe's name"):
        write_recipe(name, tmp_path, cache_dir)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["My Birds", "", "-x", "vögel", "a/b"])
def test_a_name_that_no_data_set_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a data set's name"):
        write_dataset(name, tmp_path, tmp_path)


def test_a_name_that_a_recipe_has(tmp_path: Path, cache_dir: Path) -> None:
    with pytest.raises(UsageError, match=r"'th-kd' exists: .*th_kd\.py"):
        write_recipe("th-kd", tmp_path, cache_dir)
    write_recipe("mine", tmp_path, cache_dir)
    with pytest.raises(UsageError, match="'mine' exists"):
        write_recipe("mine", tmp_path, cache_dir)


def test_a_name_that_a_data_set_has(tmp_path: Path, images: Path) -> None:
    with pytest.raises(UsageError, match=r"'cifar100' exists: .*cifar100\.toml"):
        write_dataset("cifar100", images, tmp_path)
    write_dataset("mine", images, tmp_path)
    with pytest.raises(UsageError, match="'mine' exists"):
        write_dataset("mine", images, tmp_path)


def test_a_file_in_the_way_stays_as_it_is(tmp_path: Path, cache_dir: Path, images: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match=r"'mine' exists: .*mine\.py"):
        write_recipe("mine", tmp_path, cache_dir)
    (tmp_path / "mine.toml").write_text("x = 1\n")
    with pytest.raises(UsageError, match=r"mine\.toml exists"):
        write_dataset("mine", images, tmp_path)
    assert (tmp_path / "mine.py").read_text() == "x = 1\n"


def test_a_folder_that_cannot_be(tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot write .*mine\.py: "):
        write_recipe("mine", tmp_path / "file" / "below", cache_dir)


def test_a_value_that_a_template_misses_is_a_fault_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="name"):
        fill("recipe.py.jinja", new_file(tmp_path, "mine.py"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [write_recipe, write_dataset])
def test_every_writer_has_its_template(writer: Callable[..., object]) -> None:
    stem = writer.__module__.rpartition(".")[2]
    assert [file for file in FOLDER.iterdir() if re.match(rf"{stem}\.\w+\.jinja", file.name)]


FULL = """
import resource, signal, sys
from pathlib import Path
from benchmark.errors import UsageError
from benchmark.templates.recipe import write_recipe
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # no file gets larger, as on a full disk
folder = Path(sys.argv[1])
try:
    write_recipe("my-method", folder, folder / "cache")
except UsageError as error:
    print(error)
print([path.name for path in folder.iterdir() if path.is_file()])
"""


def test_a_full_disk_leaves_no_empty_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert "cannot write" in done.stdout, done.stderr
    assert done.stdout.endswith("[]\n")
