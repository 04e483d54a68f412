"""Both twins of a transform draw from the same distribution; the right loader is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from benchmark.cards.card import Card
from benchmark.data.loaders.augmentation import ResidentAugmentation
from benchmark.data.loaders.choice import make_loader
from benchmark.data.loaders.resident import ResidentLoader
from benchmark.data.loaders.workers import WorkersLoader
from benchmark.data.pictures import Pictures
from benchmark.data.splits import ImageSplit
from tests.support.small_pictures import Mosaics

MakeCard = Callable[..., Card]
EDGE, PADDING, DRAWS = 8, 2, 20_000
PLACES = 2 * PADDING + 1


def pixels_of(loader: ResidentLoader | WorkersLoader, card: Card, epoch: int) -> NDArray[np.uint8]:
    """Images (N, H, W, 3) of an epoch as bytes, in the order of the split."""
    batches = list(loader.epoch(epoch))
    index = torch.cat([batch.index for batch in batches])
    images = torch.cat([batch.images for batch in batches])[index.argsort()]
    values = images.permute(0, 2, 3, 1).numpy() * np.array(card.std) + np.array(card.mean)
    return np.rint(values * 255).astype(np.uint8)


def chart() -> NDArray[np.uint8]:
    """A picture that tells its own coordinates: red counts rows, green columns, both from 1."""
    picture = np.full((EDGE, EDGE, 3), 200, dtype=np.uint8)
    picture[..., 0] = np.arange(1, EDGE + 1)[:, None]
    picture[..., 1] = np.arange(1, EDGE + 1)
    return picture


def choices_in(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often the chart was cropped at (top, left) and mirrored: counts (5, 5, 2)."""
    # The middle always shows the chart, which is larger than the padding.
    middle = pixels[:, EDGE // 2, EDGE // 2].astype(int)
    neighbour = pixels[:, EDGE // 2, EDGE // 2 + 1].astype(int)
    mirrored = (neighbour[:, 1] < middle[:, 1]).astype(int)
    column = np.where(mirrored, EDGE // 2 - 1, EDGE // 2)
    top = middle[:, 0] - 1 + PADDING - EDGE // 2
    left = middle[:, 1] - 1 + PADDING - column
    counts = np.zeros((PLACES, PLACES, 2), dtype=np.int64)
    np.add.at(counts, (top, left, mirrored), 1)
    return counts


@pytest.fixture(scope="module")
def drawn() -> dict[str, NDArray[np.uint8]]:
    """20,000 augmented charts by loader."""
    card = Card.model_validate(
        {
            "name": "charts",
            "title": "Charts",
            "classes": 2,
            "image_size": EDGE,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "splits": {"train": DRAWS, "test": DRAWS},
            "source": {
                "kind": "drawn", "revision": "1", "families": 1, "species": 2,
                "train_per_class": 1, "test_per_class": 1, "seed": 0,
            },
            "augmentation": (
                {"name": "random_crop", "padding": PADDING},
                {"name": "horizontal_flip", "p": 0.5},
            ),
            "protocols": {"paper": {"name": "paper", "epochs": 1, "batch_size": 1, "lr": 1.0}},
            "pairs": (),
        }
    )  # fmt: skip
    images = torch.from_numpy(chart()).expand(DRAWS, -1, -1, -1)
    split = ImageSplit(images, torch.zeros(DRAWS, dtype=torch.int64))
    options: dict[str, Any] = {"batch_size": 1000, "seed": 0, "device": "cpu", "train": True}
    return {
        "resident": pixels_of(ResidentLoader(split, Pictures.of(card), **options), card, 1),
        "workers": pixels_of(
            WorkersLoader(split, Pictures.of(card), workers=0, **options), card, 1
        ),
    }


@pytest.mark.parametrize("loader", ["resident", "workers"])
def test_every_draw_is_a_crop_of_the_padded_chart(
    drawn: dict[str, NDArray[np.uint8]], loader: str
) -> None:
    padded = np.pad(chart(), ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    crops = {
        (crop[:, ::-1] if mirrored else crop).tobytes()
        for top in range(PLACES)
        for left in range(PLACES)
        for crop in [padded[top : top + EDGE, left : left + EDGE]]
        for mirrored in (False, True)
    }
    assert len(crops) == 2 * PLACES**2
    assert {image.tobytes() for image in drawn[loader]} == crops


@pytest.mark.parametrize("loader", ["resident", "workers"])
def test_crops_are_uniform_and_independent_of_mirroring(
    drawn: dict[str, NDArray[np.uint8]], loader: str
) -> None:
    counts = choices_in(drawn[loader])
    assert counts.sum() == DRAWS
    assert stats.chisquare(counts.ravel()).pvalue > 0.001
    rows, columns, mirrored = (counts.sum(axis=axes) for axes in [(1, 2), (0, 2), (0, 1)])
    for margin in (rows, columns, mirrored):
        assert stats.chisquare(margin).pvalue > 0.001
    for table in (counts.sum(2), counts.sum(1), counts.sum(0)):
        assert stats.chi2_contingency(table).pvalue > 0.001


def test_both_loaders_draw_from_one_distribution(drawn: dict[str, NDArray[np.uint8]]) -> None:
    resident, workers = drawn["resident"].astype(float), drawn["workers"].astype(float)
    tables = np.stack([choices_in(drawn[loader]).ravel() for loader in ("resident", "workers")])
    assert stats.chi2_contingency(tables).pvalue > 0.001
    for power in (1, 2):
        one, other = resident**power, workers**power
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / DRAWS)
        # 192 pixel values are compared; five standard errors leave no room for chance.
        assert (np.abs(one.mean(axis=0) - other.mean(axis=0)) <= 5 * error + 1e-9).all()


@settings(deadline=None, max_examples=30)
@given(
    padding=st.integers(0, 6),
    flip=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 400),
)
def test_choices_stay_in_range(padding: int, flip: float, seed: int, epoch: int) -> None:
    choices = ResidentAugmentation(padding, flip).draw(200, seed=seed, epoch=epoch)
    for corner in (choices.top, choices.left):
        assert corner.min() >= 0
        assert corner.max() <= 2 * padding
    if flip in (0.0, 1.0):
        assert choices.mirrored.float().mean() == flip


def test_choices_repeat_and_differ_between_epochs() -> None:
    augmentation = ResidentAugmentation(2, 0.5)
    first, again = (augmentation.draw(50, seed=1, epoch=2) for _ in range(2))
    other = augmentation.draw(50, seed=1, epoch=3)
    assert torch.equal(first.top, again.top)
    assert not torch.equal(first.top, other.top)
    assert not torch.equal(first.top, first.left)


CROP = {"name": "random_crop", "padding": 2}
FLIP = {"name": "horizontal_flip"}
RESIZE = {"name": "random_resized_crop"}
JITTER = {"name": "color_jitter", "brightness": 0.2}


@pytest.mark.parametrize(
    ("augmentation", "train_", "kind"),
    [
        ([], True, ResidentLoader),
        ([CROP, FLIP], True, ResidentLoader),
        ([FLIP, CROP], True, ResidentLoader),
        ([CROP, CROP], True, WorkersLoader),
        ([CROP, JITTER], True, WorkersLoader),
        ([RESIZE, FLIP], True, WorkersLoader),
        ([RESIZE, FLIP], False, ResidentLoader),
    ],
)
def test_the_resident_loader_is_taken_when_every_transform_has_a_twin(
    make_card: MakeCard,
    train: Mosaics,
    augmentation: list[dict[str, Any]],
    train_: bool,
    kind: type,
) -> None:
    card = make_card(augmentation=augmentation)
    loader = make_loader(
        train.split(),
        Pictures.of(card),
        batch_size=4,
        seed=0,
        device="cpu",
        train=train_,
        workers=0,
    )
    assert type(loader) is kind


def test_images_of_another_size_go_to_workers(make_card: MakeCard, train: Mosaics) -> None:
    card = make_card(image_size=6)
    loader = make_loader(
        train.split(), Pictures.of(card), batch_size=4, seed=0, device="cpu", train=False, workers=0
    )
    assert isinstance(loader, WorkersLoader)
    with pytest.raises(ValueError, match="6 pixels"):
        ResidentLoader(
            train.split(), Pictures.of(card), batch_size=4, seed=0, device="cpu", train=False
        )
