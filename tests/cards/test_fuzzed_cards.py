"""Whatever stands in a card, a suite or in brackets: it is accepted, or one kind of error."""

from __future__ import annotations

import contextlib
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmark.cards import suites
from benchmark.cards.brackets import split_brackets
from benchmark.cards.card import Card
from benchmark.cards.catalogue import read_card, read_cards
from benchmark.data.found import Surroundings
from benchmark.data.sources import drawn
from benchmark.errors import BenchmarkError
from tests.cards.test_card import CARD
from tests.cards.test_hostile_cards import FETCHED
from tests.support.fuzzing import fuzzed

WORDS = sorted({word for text in (CARD, FETCHED) for word in text.split()})
VALUES = [
    "-1", "0", "1e400", "nan", "-inf", "0x" + "f" * 99, "9" * 30, "9" * 5000, '"../x"', '"[/]"',
    '"\\u001b[2J"', "[]", "[[]]", "{}", "[1, 2, 3]", '""', "true", "1979-05-27", '"a:b"', "1.5",
    '"' + "x" * 3000 + '"', "[" * 200 + "]" * 200,
]  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(WORDS), st.sampled_from(VALUES), st.text(max_size=12), st.just("\n")
)


def line_of(text: str, number: int) -> tuple[list[str], int]:
    lines = text.splitlines()
    return lines, number % len(lines)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A card of which some lines have another value, are gone, or hold anything."""
    lines = draw(st.sampled_from([CARD, FETCHED])).replace("NAME", "leaves").splitlines()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        key = lines[place].partition("=")[0]
        lines[place] = draw(
            st.one_of(
                st.sampled_from(VALUES).map(lambda value, key=key: f"{key} = {value}"),
                st.just(""),
                st.lists(PIECES, max_size=6).map(" ".join),
            )
        )
    return "\n".join(lines)


@fuzzed
@given(text=cards())
def test_any_card_is_read_or_one_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "leaves.toml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            card = read_card(path)
        except BenchmarkError as error:
            said = str(error)
        else:
            said = ""
            use(card, Path(folder))
        assert str(path) in said or not said
        assert len(said) < 30_000
        assert said.replace("\n", "").isprintable()
        assert len(read_cards([Path(folder)]).broken) == bool(said)


def use(card: Card, folder: Path) -> None:
    """What is done with every card before anything is trained."""
    assert card.revision
    for protocol in card.protocols.values():
        assert card.pairs_of(protocol) is not None
        assert protocol.for_network("resnet8")
    if card.source.kind == "drawn":
        with contextlib.suppress(BenchmarkError):  # more families than there are
            drawn.open(card, card.source, Surroundings(None, folder))


@fuzzed
@given(pieces=st.lists(PIECES, max_size=30))
def test_any_file_is_a_card_or_one_error(pieces: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "leaves.toml")
        path.write_bytes(" ".join(pieces).encode("utf-8", "surrogatepass"))
        with contextlib.suppress(BenchmarkError):
            read_card(path)


SUITE = (suites.FOLDER / "quick.toml").read_text("utf-8")


@fuzzed
@given(number=st.integers(0, 99), value=st.one_of(st.sampled_from(VALUES), st.text(max_size=9)))
def test_any_suite_is_read_or_one_error(number: int, value: str) -> None:
    lines, place = line_of(SUITE, number)
    lines[place] = f"{lines[place].partition('=')[0]} = {value}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mine.toml").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        before, suites.FOLDER = suites.FOLDER, Path(folder)
        try:
            with contextlib.suppress(BenchmarkError):
                assert suites.read_suite("mine").seeds > 0
        finally:
            suites.FOLDER = before


LEAVES = Card.model_validate(
    tomllib.loads(CARD.replace("NAME", "leaves").replace("[protocols.", "[protocols."))
    | {
        "protocols": {
            name: values | {"name": name}
            for name, values in tomllib.loads(CARD)["protocols"].items()
        }
    }
)
KEYS = ["epochs", "lr", "milestones", "betas", "augmentation", "mixup", "optimiser", "schedule",
        "image_size", "pretrained", "validation", "name", "pairs", "gamma", "x"]  # fmt: skip
SETTINGS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.one_of(
            st.sampled_from(["0", "-1", "nan", "1e400", "none", "5-15", "9" * 30, "9" * 5000]),
            st.sampled_from(["rand_augment+random_erasing", "cosine", "adamw", "true", "0.9-0.99"]),
            st.text(max_size=8),
        ),
    ).map("=".join),
    max_size=5,
).map(",".join)


@fuzzed
@given(name=st.one_of(st.sampled_from(["long", "short"]), st.text(max_size=6)), inside=SETTINGS)
def test_any_protocol_in_brackets_is_read_or_one_error(name: str, inside: str) -> None:
    with contextlib.suppress(BenchmarkError):
        protocol = LEAVES.protocol(f"{name}[{inside}]")
        assert protocol.epochs > 0
        assert LEAVES.protocol(protocol.name).for_network("resnet8") == protocol.for_network(
            "resnet8"
        )


@fuzzed
@given(text=st.one_of(st.text(max_size=80), st.text("[]=,.-a1", max_size=40)))
def test_any_brackets_are_read_or_one_error(text: str) -> None:
    with contextlib.suppress(BenchmarkError):
        name, settings = split_brackets(text)
        assert name
        assert all(isinstance(value, str) for value in settings.values())


def test_the_values_that_are_tried_are_hostile() -> None:
    """At least half of them are refused in the place of a number."""
    refused = 0
    for value in VALUES:
        with tempfile.TemporaryDirectory() as folder:
            text: Any = CARD.replace("NAME", "leaves").replace("classes = 4", f"classes = {value}")
            path = Path(folder, "leaves.toml")
            path.write_text(text)
            try:
                read_card(path)
            except BenchmarkError:
                refused += 1
    assert refused > len(VALUES) / 2
