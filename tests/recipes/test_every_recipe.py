"""What every recipe must fulfil. It runs on all recipes that are found, also on yours:

KDBENCH_PATH=my_recipes pytest tests/recipes/test_every_recipe.py -k my-method
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

import benchmark
from benchmark.errors import IncompatiblePair
from benchmark.proving.examination import name_of
from benchmark.proving.laws import LAWS, Case, Law
from benchmark.proving.scene import PAIRS, Form, Stagehand, forms_of
from benchmark.recipe.discovery import load_recipes

CATALOGUE = load_recipes()
HAND = Stagehand(CATALOGUE)


def cases() -> Iterator[tuple[Law, Case]]:
    for law in LAWS:
        for info in CATALOGUE.values():
            forms = list(forms_of(info)) if law.per != "recipe" else [Form(info, {})]
            yield from ((law, Case(form, pair, HAND)) for form in forms for pair in law.pairs())


def test_no_recipe_file_is_broken() -> None:
    assert not CATALOGUE.broken, "\n".join(f"{p}: {e}" for p, e in CATALOGUE.broken.items())


@pytest.mark.parametrize(
    ("law", "case"), [pytest.param(*it, id=f"{name_of(it[1])}: {it[0].says}") for it in cases()]
)
def test_it_keeps_the_law(law: Law, case: Case) -> None:
    try:
        law.hold(case)
    except IncompatiblePair as refusal:
        pytest.skip(str(refusal))


def test_the_template_is_a_recipe(tmp_path: Path) -> None:
    """``kdbench new recipe`` renders it with the name in three spellings."""
    template = Path(benchmark.__file__).parent / "templates" / "recipe.py.jinja"
    text = jinja2.Template(
        template.read_text(encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    ).render(name="my-method", class_name="MyMethod")
    assert len(text.splitlines()) <= 40
    (tmp_path / "my_method.py").write_text(text, encoding="utf-8")
    catalogue = load_recipes([tmp_path])
    assert catalogue.broken == {}
    form = Form(catalogue.get("my-method"), {})
    assert set(Stagehand(catalogue).stage(form, PAIRS["unequal widths"]).terms()) == {
        "ce",
        "method",
    }
