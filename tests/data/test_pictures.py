"""What networks see follows from the card and the protocol, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmark.cards.card import Card
from benchmark.cards.protocol import Protocol
from benchmark.data.found import Contents
from benchmark.data.pictures import Pictures
from tests.support.small_pictures import CLASSES, EDGE, Mosaics

MakeCard = Callable[..., Card]


def protocol(**changes: object) -> Protocol:
    values = {"name": "quick", "epochs": 1, "batch_size": 4, "lr": 0.1}
    return Protocol.model_validate(values | changes)


def test_a_protocol_that_asks_for_nothing_changes_nothing(card: Card) -> None:
    pictures = Pictures.of(card)
    assert Pictures.of(card, protocol()) == pictures
    assert (pictures.classes, pictures.size, pictures.shape) == (len(CLASSES), EDGE, (EDGE, EDGE))
    assert (pictures.mean, pictures.std) == (card.mean, card.std)
    assert pictures.augmentation == card.augmentation


def test_a_protocols_size_and_augmentation_are_seen(card: Card) -> None:
    erased = {"name": "random_erasing"}
    pictures = Pictures.of(card, protocol(image_size=12, augmentation=[erased]))
    assert pictures.size == 12
    assert [step.name for step in pictures.augmentation] == [
        "random_crop",
        "horizontal_flip",
        "random_erasing",
    ]
    assert card.augmentation == Pictures.of(card).augmentation, "the card stays as it is"


def test_equal_pictures_are_one_key(card: Card, make_card: MakeCard) -> None:
    """Runs whose protocols augment in other ways do not share what was loaded for one of them."""
    erased = protocol(augmentation=[{"name": "random_erasing"}])
    keys = {Pictures.of(card), Pictures.of(make_card(), protocol()), Pictures.of(card, erased)}
    assert len(keys) == 2


@pytest.mark.parametrize("classes", [None, 2])
def test_the_first_classes_keep_the_order_of_the_whole(train: Mosaics, classes: int | None) -> None:
    whole = Contents({"train": train.split()}, CLASSES)
    part = whole.first(classes)
    if classes is None:
        assert part is whole
        return
    chosen = train.labels[train.labels < classes]
    assert torch.equal(part.splits["train"].labels, torch.from_numpy(chosen).long())
    assert part.class_names == CLASSES[:classes]
