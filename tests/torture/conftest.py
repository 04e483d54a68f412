"""A warm process, cards, and what undisturbed commands give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.torture import shim
from tests.torture.ground import METHODS, PAIRS, Ground, write_cards
from tests.torture.nursery import Nursery

Undisturbed = Callable[..., dict[str, str]]
ONE = {"methods": ("vanilla", "kd"), "pairs": PAIRS[:1], "seeds": "1"}
SMALL = {"methods": METHODS, "pairs": PAIRS[:1], "seeds": "1"}
WHOLE = {"methods": METHODS, "pairs": PAIRS, "seeds": "2"}
LOADED = {"card": "loaded", "methods": ("vanilla", "kd"), "pairs": PAIRS[:1], "seeds": "1"}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all that is broken, without links in its path."""
    return tmp_path_factory.mktemp("torture").resolve()


@pytest.fixture(scope="session")
def library(place: Path) -> Path:
    """The library that lets something happen at the n-th operation on files."""
    found = shim.compiled(place)
    if found is None:
        pytest.skip("no C compiler")
    return found


@pytest.fixture(scope="session")
def nursery(library: Path) -> Iterator[Nursery]:
    """A warm process."""
    made = Nursery(library)
    yield made
    made.close()


@pytest.fixture(scope="session")
def new_ground(place: Path) -> Callable[[str], Ground]:
    """New folders, with cards and cache that all share."""
    cards = write_cards(place / "cards")

    def make(name: str) -> Ground:
        folder = place / name
        folder.mkdir(parents=True)
        return Ground(folder, cards, place / "cache")

    return make


@pytest.fixture(scope="session")
def undisturbed(nursery: Nursery, new_ground: Callable[[str], Ground]) -> Undisturbed:
    """What a matrix gives if nothing happens; trained once."""
    known: dict[str, dict[str, str]] = {}

    def state(**matrix: object) -> dict[str, str]:
        key = repr(sorted(matrix.items()))
        if key not in known:
            ground = new_ground(f"undisturbed-{len(known)}")
            out = ground.folder.with_suffix(".out")
            words = ground.words(workers=1, **matrix)
            assert nursery.run(words, out=out, env=ground.environment) == 0, out.read_text()
            known[key] = ground.state()
        return known[key]

    return state
