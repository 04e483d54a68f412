"""A layout of one's own is one file: found by --path, checked with the card, opened anywhere."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from benchmark.cards.card import Card
from benchmark.data.intake.preparing import Wishes, prepare
from benchmark.data.opening import load_data
from benchmark.errors import CardError, UnknownName
from benchmark.layouts.catalogue import known_cards, layout_of, read_layouts
from benchmark.layouts.listing import Layout, Places
from tests.support.miniatures import picture, put

GUIDE = Path(__file__).parents[2] / "docs" / "add-a-data-set.md"
[SHOWN] = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
CARD = """
name = "flowers"
title = "Flowers"
classes = 2
image_size = 16
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
splits = { train = 6, test = 4 }
pairs = ["resnet14:resnet8"]
[source]
kind = "folder"
layout = "named"
folder = "images"
[protocols.quick]
epochs = 1
batch_size = 4
lr = 0.1
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder for --path with the guide's layout, a card, and its images."""
    put(tmp_path / "layouts" / "named.py", SHOWN)
    put(tmp_path / "datasets" / "flowers.toml", CARD)
    folder = tmp_path / "datasets" / "images" / "flowers"
    folder.mkdir(parents=True)
    for label, name in enumerate(("daisy", "rose")):
        for number in range(5):
            split = "train" if number < 3 else "test"
            (folder / f"{name}-{number:03d}-{split}.jpg").write_bytes(picture(label, number))
    return tmp_path


def test_the_guides_layout_is_found_read_and_looked_at(own: Path, tmp_path: Path) -> None:
    card = known_cards([own]).get("flowers")
    data = load_data(card, None, tmp_path / "cache")
    assert data.class_names == ("daisy", "rose")
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    found = prepare(own / "datasets" / "images", Wishes(), layouts=read_layouts([own]))
    counts = {split: len(items) for split, items in found.listing.items.items()}
    assert (found.layout, counts) == ("named", {"train": 6, "test": 4})


def test_it_is_found_in_the_environments_folders_too(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "flowers" in known_cards([own])
    monkeypatch.setenv("KDBENCH_PATH", str(own))
    assert "named" in read_layouts()
    assert "flowers" in known_cards()


def test_a_card_that_travels_knows_where_its_layout_is(own: Path, tmp_path: Path) -> None:
    card: Card = pickle.loads(pickle.dumps(known_cards([own]).get("flowers")))
    assert len(load_data(card, None, tmp_path / "cache").train) == 6
    assert layout_of(card.source).name == "named"  # type: ignore[arg-type]


def test_where_the_layout_lies_is_no_part_of_the_revision(own: Path, tmp_path: Path) -> None:
    first = known_cards([own]).get("flowers")
    second = tmp_path / "second"
    put(second / "layouts" / "other_name.py", SHOWN)
    put(second / "datasets" / "flowers.toml", CARD)
    assert known_cards([second]).get("flowers").revision == first.revision


def test_without_its_folder_the_card_says_what_is_unknown(own: Path) -> None:
    cards = known_cards([own / "datasets"])
    with pytest.raises(CardError, match=r"source › folder › layout: unknown layout 'named'"):
        cards.get("flowers")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def", "SyntaxError"),
        ("x = 1", "registers no layout"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_broken_file_is_told_and_stops_nothing_else(own: Path, text: str, told: str) -> None:
    broken = put(own / "layouts" / "broken.py", text)
    put(
        own / "datasets" / "second.toml",
        CARD.replace("flowers", "second").replace("named", "broken"),
    )
    cards = known_cards([own])
    assert "flowers" in cards
    assert "cifar100" in cards
    assert told in cards.broken[broken.resolve()]
    with pytest.raises(CardError, match=r"(?s)layout 'broken' cannot be used: .*broken\.py"):
        cards.get("second")


def test_two_layouts_of_one_name_name_both_files(own: Path) -> None:
    second = put(own / "layouts" / "second.py", SHOWN)
    with pytest.raises(CardError) as caught:
        known_cards([own])
    for path in (own / "layouts" / "named.py", second):
        assert str(path.resolve()) in str(caught.value)


def test_a_built_in_name_is_taken(own: Path) -> None:
    put(own / "layouts" / "mine.py", SHOWN.replace('"named"', '"cub"'))
    with pytest.raises(
        CardError, match=r"two layouts are called 'cub'(?s:.*)cub\.py(?s:.*)mine\.py"
    ):
        read_layouts([own])


def test_a_layout_may_take_options(own: Path) -> None:
    put(
        own / "layouts" / "named.py",
        SHOWN.replace("read=read,\n)", 'read=read,\n    options={"level": ("a", "b")},\n)'),
    )
    put(
        own / "datasets" / "flowers.toml",
        CARD.replace('"named"', '"named"\noptions = {level = "c"}'),
    )
    with pytest.raises(
        CardError, match="option level of the layout 'named' is one of a, b, not 'c'"
    ):
        known_cards([own]).get("flowers")


def test_files_with_an_underscore_are_no_layouts_but_may_be_imported(own: Path) -> None:
    put(own / "layouts" / "_parts.py", 'NAME = "shared"')
    named = SHOWN.replace('name="named"', "name=NAME")
    named = named.replace("from pathlib", "from ._parts import NAME\nfrom pathlib")
    put(own / "layouts" / "other.py", named)
    layouts = read_layouts([own])
    assert not layouts.broken
    assert {"named", "shared"} <= set(layouts)


def test_every_built_in_layout_is_found() -> None:
    layouts = read_layouts()
    assert list(layouts) == ["aircraft", "cars", "csv", "cub", "image_folder"]
    assert all(isinstance(layout, Layout) for layout in layouts.values())
    with pytest.raises(UnknownName, match="Did you mean 'csv'"):
        layouts.get("cvs")
    assert not layouts.get("cub").is_in(Path(__file__).parent)
    assert not Places((Path(__file__).parent,)).find("images")
