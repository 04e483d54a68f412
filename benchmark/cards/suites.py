"""Suites: named choices of cells, one TOML file each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from benchmark.cards.fields import Pairs
from benchmark.errors import CardError, UnknownName
from benchmark.strict import Line, Strict, faults, read_toml

FOLDER = Path(__file__).resolve().parent.parent / "suites"


class Suite(Strict):
    """A named choice of cells.

    Attributes:
        name: of the file.
        title: what it is for.
        datasets: names of cards.
        pairs: ``teacher:student``; empty means the usual pairs of each card.
        recipes: names, with settings in brackets; ``*`` stands for every method.
        protocol: name; None means each card's default.
        seeds: their number.
    """

    name: Line
    title: Line
    datasets: Annotated[tuple[Line, ...], Field(max_length=1000)]
    pairs: Pairs = ()
    recipes: Annotated[tuple[Line, ...], Field(max_length=1000)]
    protocol: Line | None = None
    seeds: Annotated[int, Field(gt=0, le=10_000)] = 3


def suite_names() -> list[str]:
    """Names of all suites."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_suite(name: str) -> Suite:
    """The suite of this name.

    Raises:
        UnknownName: there is none.
        CardError: its file is wrong.
    """
    if name not in suite_names():
        raise UnknownName("suite", name, suite_names(), "'kdbench list suites' shows them.")
    path = FOLDER / f"{name}.toml"
    values = read_toml(path, "suite", error=CardError)
    try:
        return Suite.model_validate({"name": name} | values)
    except ValidationError as error:
        raise CardError(f"the suite {path} is wrong: {'; '.join(faults(error))}") from None
