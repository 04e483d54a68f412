"""What counts as the same recipe: its meaning, not how it is written."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.recipe import source
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.source import PREFIX, source_from, tree_digest

RECIPE = '''"""Does something."""

from benchmark import Recipe, register
from ._losses import squared


@register("mine", family="logits")
class Mine(Recipe):
    """Words."""

    weight: float = 0.5  # of the term

    def forward(self, batch, student, teacher):
        """More words."""
        label = f"{self.weight:.2f} of {batch!r}"
        return {"term": self.weight * squared(student.logits, **{"label": label})}
'''
LOSSES = 'def squared(x, *, label="a" f"{1}", scale=None):\n    return x.square().mean()\n'


def load(folder: Path, recipe: str = RECIPE, losses: str = LOSSES) -> source.Source:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(recipe)
    (folder / "_losses.py").write_text(losses)
    catalogue = load_recipes([folder])
    assert catalogue.broken == {}
    return catalogue.get("mine").source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Does something."""\n', '"""Does it well."""\n'),
        ('"""Does something."""\n', ""),
        ('    """Words."""\n', "    pass\n"),
        ("  # of the term", "  # of the only term\n\n"),
        ('"logits")', "'logits',\n)"),
        ("return {", "return {  # terms\n            "),
        ("batch, student, teacher", "batch, student, teacher,"),
    ],
)
def test_how_it_is_written_is_no_change(tmp_path: Path, old: str, new: str) -> None:
    assert old in RECIPE
    one, other = load(tmp_path / "a"), load(tmp_path / "b", RECIPE.replace(old, new))
    assert one.meaning == other.meaning
    assert one.text != other.text
    assert one.meaning.startswith(PREFIX)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("= 0.5", "= 0.6"),
        ("= 0.5", "= '0.5'"),
        ("weight: float", "weight: int"),
        ("self.weight *", "self.weight +"),
        ('"term"', '"other"'),
        (":.2f", ":.3f"),
        ("!r", "!s"),
        ("batch, student, teacher", "batch, student, teacher=None"),
        ("**{", "*{"),
    ],
)
def test_what_it_does_is_a_change(tmp_path: Path, old: str, new: str) -> None:
    assert old in RECIPE
    one = load(tmp_path / "a")
    assert load(tmp_path / "b", RECIPE.replace(old, new)).meaning != one.meaning


def test_what_it_imports_from_is_part_of_it(tmp_path: Path) -> None:
    one = load(tmp_path / "a")
    assert load(tmp_path / "b", losses=LOSSES.replace(".mean", ".sum")).meaning != one.meaning
    assert load(tmp_path / "c", losses=LOSSES + "# said\n").meaning == one.meaning
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "_deep.py").write_text("X = 1\n")
    first = load(tmp_path / "d", losses="from . import _deep\n" + LOSSES)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "_deep.py").write_text("X = 2\n")
    assert load(tmp_path / "e", losses="from . import _deep\n" + LOSSES).meaning != first.meaning


def test_the_place_and_the_name_of_the_file_are_no_part_of_it(tmp_path: Path) -> None:
    one = load(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "kd.py").write_text(RECIPE)  # beside the kd of the built-in recipes
    (tmp_path / "b" / "_losses.py").write_text(LOSSES)
    assert load_recipes([tmp_path / "b"]).get("mine").source.meaning == one.meaning


def test_digests_of_both_kinds_are_recognised(tmp_path: Path) -> None:
    one = load(tmp_path)
    files = [(tmp_path / name).read_bytes() for name in ("_losses.py", "mine.py")]
    assert one.text == hashlib.sha256(b"".join(files)).hexdigest(), "as older records have it"
    assert one.matches(one.text)
    assert one.matches(one.meaning)
    assert not one.matches("0" * 64)
    assert not one.matches("")


def test_recipes_that_import_each_other_have_a_source(tmp_path: Path) -> None:
    one = load(tmp_path, losses="from . import mine\n" + LOSSES)
    assert one.meaning != load(tmp_path / "b").meaning


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = True"),
        ("x = 1", "x = 1.0"),
        ("x = '1'", "x = 1"),
        ("x = 'int 0x1'", "x = 1"),
        ("x = b'a'", "x = 'a'"),
        ("x = 1", "x = 1j"),
        ("x = ...", "x = None"),
        ("f(a, *b)", "f(a, b)"),
        ("def f(*, a=None): g()", "def f(*, a): g()"),
        ("{**a}", "{a: b}"),
        ("x = f'{a}b'", "x = f'{a}' 'c'"),
        ("if a:\n  b()\nc()", "if a:\n  b()\n  c()"),
        ("async def f(): g()", "def f(): g()"),
        ("x = 'a', 'b'", "x = 'a' 'b'"),
    ],
)
def test_no_two_meanings_are_one(one: str, other: str) -> None:
    assert tree_digest(one.encode()) != tree_digest(other.encode())


@given(st.text(max_size=8), st.text(max_size=8))
def test_texts_are_told_apart_whatever_they_hold(one: str, other: str) -> None:
    digests = [tree_digest(f"x = {text!r}, 1".encode()) for text in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


def test_deep_trees_and_long_numbers_are_no_problem() -> None:
    assert tree_digest(("x = " + " + ".join(["a"] * 900)).encode())
    assert tree_digest(b"x = 0x" + b"f" * 5000)
    assert tree_digest(b"x = '\\ud800'")


OTHERS = [f"python3.{minor}" for minor in (11, 12, 13, 14) if minor != sys.version_info.minor]


@pytest.mark.parametrize("python", OTHERS)
def test_other_versions_of_python_find_the_same(python: str) -> None:
    if shutil.which(python) is None:
        pytest.skip(f"no {python}")
    program = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('source', {source.__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['source'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print(module.tree_digest(sys.stdin.buffer.read()))"
    )
    done = subprocess.run(
        [python, "-c", program], input=RECIPE.encode(), capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{python} does not start here")
    assert done.stdout.decode().strip() == tree_digest(RECIPE.encode())


def test_the_digest_of_a_tree_stays_for_years() -> None:
    """Records hold it: whoever changes it raises the number in ``PREFIX``."""
    contents = {"p.mine": RECIPE.encode(), "p._losses": LOSSES.encode()}
    assert source_from(contents, "p.mine").meaning == PREFIX + PINNED


PINNED = "5edff293a157e23f3d1de2d752752177c5b4af6f6babdffa74b03dc05e2b9671"
