"""Fixtures of a small data set: its pictures, its card, and a folder with its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.cards.card import Card
from tests.support.small_pictures import CLASSES, EDGE, Mosaics, as_file, write_shards


@pytest.fixture(scope="session")
def train() -> Mosaics:
    return Mosaics.random(30, seed=1)


@pytest.fixture(scope="session")
def test() -> Mosaics:
    return Mosaics.random(12, seed=2)


@pytest.fixture
def make_card() -> Callable[..., Card]:
    """A card of the small data set, with changes; ``source`` changes single keys of it."""

    def make(*, source: dict[str, Any] | None = None, **changes: Any) -> Card:
        values: dict[str, Any] = {
            "name": "trees",
            "title": "Trees",
            "classes": len(CLASSES),
            "image_size": EDGE,
            "mean": (0.5, 0.4, 0.3),
            "std": (0.2, 0.25, 0.3),
            "splits": {"train": 30, "test": 12},
            "source": {
                "kind": "hub",
                "hub": "forest/trees",
                "revision": "0" * 40,
                "image": "img",
                "label": "kind",
                "files": {"train": "plain/train-*.parquet", "test": "plain/test-*.parquet"},
                "folder": "trees",
                "archive": "trees-python",
            }
            | (source or {}),
            "augmentation": (
                {"name": "random_crop", "padding": 2},
                {"name": "horizontal_flip", "p": 0.5},
            ),
            "protocols": {"paper": {"name": "paper", "epochs": 2, "batch_size": 4, "lr": 0.1}},
            "pairs": ("resnet20:resnet8",),
        }
        return Card.model_validate(values | changes)

    return make


@pytest.fixture
def card(make_card: Callable[..., Card]) -> Card:
    return make_card()


@pytest.fixture
def data_dir(tmp_path: Path, train: Mosaics, test: Mosaics) -> Path:
    """A ``--data`` folder with the shards in a folder of the data set's name."""
    folder = tmp_path / "data"
    write_shards(
        folder / "trees", "train", list(map(as_file, train.images)), train.labels, shards=3
    )
    webp = [as_file(image, "WEBP") for image in test.images]
    write_shards(folder / "trees", "test", webp, test.labels)
    return folder
