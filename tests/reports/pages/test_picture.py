"""The picture of a result table is a pure function of the records."""

from __future__ import annotations

import pytest

from benchmark.records.store import Store
from benchmark.reports.pages.picture import draw
from tests.records.made_records import world

PAIR = ("resnet20", "resnet8")


@pytest.fixture
def results(tmp_path):
    store = Store(tmp_path / "results")
    for made in world():
        store.write(made)
    return store.root


def test_it_shows_the_chosen_pair_and_recipes_alone(results, tmp_path):
    file = tmp_path / "images" / "table.svg"
    draw(results, file, dataset="cifar100", pair=PAIR, recipes=["vanilla", "kd"])
    text = file.read_text()
    assert text.startswith("<svg")
    assert "62.13&#160;±&#160;0.15" in text
    for absent in ("th-kd", "crd", "vgg13"):
        assert absent not in text


def test_equal_records_give_an_equal_file(results, tmp_path):
    files = [tmp_path / name for name in ("one.svg", "two.svg")]
    for file in files:
        draw(results, file, dataset="cifar100", pair=PAIR, recipes=["vanilla", "kd"])
    assert files[0].read_bytes() == files[1].read_bytes()
