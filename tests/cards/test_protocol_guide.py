"""The guide's tables of fields and transforms are what the code says, and its examples work."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.cards.catalogue import find_card
from benchmark.cards.protocol import CardOnly, Only, Protocol, Unidentified, Unless
from benchmark.cards.transforms import TRANSFORMS
from benchmark.strict import has_mark
from benchmark.training.updates.optimiser import Part, check_optimiser, make_optimiser

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "protocol-and-fairness.md").read_text("utf-8")
SHOWN = {
    name: {"name": name} | values
    for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    for name, values in tomllib.loads(block)["protocols"].items()
}


def rows(first: str) -> dict[str, list[str]]:
    """The cells behind the name, by name, of the table whose heading begins so."""
    table = GUIDE[GUIDE.index(f"| {first} |") :].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0].strip("`"): row[1:] for row in cells}


def default(name: str) -> str:
    field = Protocol.model_fields[name]
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, int | float) else f"`{value}`"


def where(name: str) -> str:
    field = Protocol.model_fields[name]
    for mark in field.metadata:
        if isinstance(mark, Only):
            sense = "is not" if isinstance(mark, Unless) else "is"
            return f"{mark.field} {sense} {mark.value}"
    if has_mark(field, CardOnly):
        return "card only"
    return "not identified" if has_mark(field, Unidentified) else ""


def test_the_guide_has_every_field_with_its_default_and_its_place() -> None:
    assert {name: cells[:2] for name, cells in rows("field").items()} == {
        name: [default(name), where(name)] for name in Protocol.model_fields if name != "name"
    }
    assert all(cells[2] for cells in rows("field").values())


def test_the_guide_has_every_transform_with_its_settings() -> None:
    assert {name: cells[0] for name, cells in rows("transform").items()} == {
        name: ", ".join(f"`{field}`" for field in kind.model_fields if field != "name")
        for name, kind in TRANSFORMS.items()
    }


def optimiser_of(protocol: Protocol) -> torch.optim.Optimizer:
    check_optimiser(protocol)
    layer = nn.Linear(3, 2)
    return make_optimiser(protocol, "x", [Part(list(layer.parameters()))], within=layer)


@pytest.mark.parametrize("name", SHOWN)
def test_a_shown_protocol_is_valid(name: str) -> None:
    asked: dict[str, Any] = SHOWN[name]
    protocol = Protocol.model_validate(asked)
    assert type(optimiser_of(protocol)).__name__.lower() == asked.get("optimiser", "sgd")


def test_a_shown_override_is_valid() -> None:
    card = find_card("sketchbirds", [ROOT / "datasets"])
    (shown,) = re.findall(r"--protocol '(quick\[.*?\])'", GUIDE)
    protocol = card.protocol(shown)
    assert protocol.optimiser == "lion"
    assert type(optimiser_of(protocol)).__name__ == "Lion"
