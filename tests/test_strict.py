"""What is said of the values of a file that somebody wrote."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError

from benchmark.strict import Strict, faults


class Leaf(Strict):
    length: float
    colour: str = "green"


class Tree(Strict):
    height: float = Field(gt=0)
    leaves: tuple[Leaf, ...] = ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"height": 2, "hieght": 3}, ["unknown key 'hieght'. Did you mean 'height'?"]),
        ({"height": 2, "x": 3}, ["unknown key 'x'. Known: height, leaves."]),
        (
            {"height": 2, "leaves": [{"length": 1}, {"length": 1, "color": "red"}]},
            ["leaves › 1: unknown key 'color'. Did you mean 'colour'?"],
        ),
        (
            {"height": -1, "leaves": [{}]},
            ["height: Input should be greater than 0", "leaves › 0 › length: Field required"],
        ),
        ({"height": float("inf")}, ["height: Input should be a finite number"]),
    ],
)
def test_faults_name_place_and_remedy(values: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(values)
    assert faults(caught.value) == said


def test_values_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Leaf(length=1).length = 2
