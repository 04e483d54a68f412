"""What is told of a recipe's settings stands in its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.recipe.index import describe_recipes

SHARED = '''"""What others share."""
from pydantic import PositiveFloat
from benchmark import Recipe

class Shared(Recipe):
    weight: float = 1.0  # γ
    unchanged: int = 3  # as it was
    temperature: PositiveFloat = 4.0  # T, # of softening
    silent: int = 3
'''
MINE = '''"""Says much.

    L = a
        + b

The rest.
"""
from typing import Annotated, Literal
from pydantic import Field
from benchmark import register
from ._shared import Shared

@register("mine", family="logits", paper="arXiv:0000.00000")
class Mine(Shared):
    # Not behind a setting.
    form: Literal["one", "two"] = "one"
    share: Annotated[float, Field(ge=0, lt=1)] = (
        0.5
    )  # of all
    most: Annotated[int, Field(le=9)] | None = None
    weight = 2.0  # γ of mine
    silent: int = 4
    def forward(self, batch, student, teacher):
        return {}  # none
'''


@pytest.fixture
def mine(tmp_path: Path) -> Any:
    (tmp_path / "_shared.py").write_text(SHARED, encoding="utf-8")
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    found = describe_recipes([tmp_path], tmp_path / "cache")
    assert found == describe_recipes([tmp_path], tmp_path / "cache")  # the index loses nothing
    return next(entry for entry in found if entry.name == "mine")


def test_settings_are_told_with_types_choices_bounds_and_comments(mine: Any) -> None:
    assert mine.settings["form"] == {
        "type": "'one' | 'two'",
        "default": "one",
        "choices": ["one", "two"],
    }
    assert mine.settings["share"] == {
        "type": "float",
        "default": 0.5,
        "bounds": {"ge": 0, "lt": 1},
        "comment": "of all",
    }
    assert mine.settings["most"] == {"type": "int | None", "default": None}


def test_settings_of_a_base_say_where_they_come_from(mine: Any) -> None:
    assert mine.settings["temperature"] == {
        "type": "float",
        "default": 4.0,
        "bounds": {"gt": 0},
        "comment": "T, # of softening",
        "inherited_from": "_shared.py",
    }
    assert mine.settings["unchanged"]["comment"] == "as it was"
    assert mine.settings["weight"] == {
        "type": "float",
        "default": 2.0,
        "comment": "γ of mine",
        "inherited_from": "_shared.py",
    }
    assert mine.settings["silent"] == {"type": "int", "default": 4, "inherited_from": "_shared.py"}


def test_the_docstring_is_whole(mine: Any) -> None:
    assert mine.docstring == "Says much.\n\n    L = a\n        + b\n\nThe rest."
    assert mine.summary == "Says much."
