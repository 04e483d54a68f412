"""One split of pictures of one size and one of photographs of many, and a loader of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.cards.card import Card
from benchmark.data.loaders.batches import Loader
from benchmark.data.loaders.photographs import PhotographLoader
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit
from tests.support.small_pictures import Mosaics

MakeCard = Callable[..., Card]
COLOURED = (
    {"name": "random_resized_crop", "scale": (0.3, 1.0)},
    {"name": "horizontal_flip"},
    {"name": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
)


@dataclass(frozen=True)
class Album:
    """Photographs of many sizes."""

    images: Sequence[NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        return self.images[position]

    def select(self, positions: Sequence[int]) -> Album:
        return Album([self.images[position] for position in positions])


@pytest.fixture(scope="session")
def album() -> ImageSplit:
    """30 smooth photographs, between 8 and 27 pixels high and 9 and 29 wide."""
    import cv2

    rng = np.random.default_rng(7)
    images = []
    for number in range(30):
        coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        size = 9 + 7 * number % 21, 8 + 11 * number % 20
        images.append(np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)))
    return ImageSplit(Album(images), torch.arange(30) % 4)


@pytest.fixture(params=["resident", "photographs", "workers"])
def load(
    request: pytest.FixtureRequest, make_card: MakeCard, train: Mosaics, album: ImageSplit
) -> Callable[..., Loader]:
    """Makes a loader of 30 images of 8 pixels."""
    coloured = make_card(augmentation=COLOURED)
    kinds: dict[str, tuple[Callable[..., Loader], ImageSplit, Card]] = {
        "resident": (ResidentLoader, train.split(), make_card()),
        "photographs": (PhotographLoader, album, coloured),
        "workers": (partial(WorkersLoader, workers=0), album, coloured),
    }
    kind, split, card = kinds[request.param]

    def make(**changes: Any) -> Loader:
        options = {"batch_size": 8, "seed": 3, "device": "cpu", "train": True} | changes
        return kind(split, Pictures.of(card), **options)

    return make
