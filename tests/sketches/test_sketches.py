"""The drawn data set is a pure function of its spec; its species differ in small marks alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.data.look.contact_sheet import contact_sheet
from benchmark.errors import CardError
from benchmark.sketches import SketchSpec, class_names, draw, draw_some, kinds_of
from benchmark.sketches.scene import NUMBERS, paint_scenes
from benchmark.sketches.species import FAMILIES, LOOKS, MARKS

SMALL = SketchSpec(families=2, species=3, images_per_class=4, split="train", seed=7)
EVERY_CLASS = SketchSpec(
    families=len(FAMILIES), species=len(LOOKS), images_per_class=1, split="train"
)


@pytest.fixture(scope="module")
def small() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return draw(SMALL)


def test_shapes_types_and_balance(small: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    images, labels = small
    assert images.shape == (24, 32, 32, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [4] * 6


def test_a_spec_draws_the_same_bytes_again(
    small: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    again, _ = draw(SMALL)
    assert np.array_equal(small[0], again)


def test_the_bytes_are_those_of_every_machine() -> None:
    """A new digest means new data: raise the card's revision with it."""
    images, _ = draw(replace(EVERY_CLASS, images_per_class=2))
    assert (
        hashlib.sha256(images.tobytes()).hexdigest()
        == "d0dfb7a8e053abc313ca862a819fe19fff22a9907df123ac9d48f5f480c45b2a"
    )


def test_an_image_does_not_depend_on_how_many_are_drawn(
    small: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    more, _ = draw(replace(SMALL, images_per_class=40))
    kept = more.reshape(6, 40, 32, 32, 3)[:, :4]
    assert np.array_equal(kept.reshape(small[0].shape), small[0])


def test_an_image_does_not_depend_on_its_neighbours(
    small: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    order = [13, 2, 23, 0]
    some = draw_some(SMALL, [n // 4 for n in order], [n % 4 for n in order])
    assert np.array_equal(some, small[0][order])


def test_more_families_leave_the_first_ones_as_they_are(
    small: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    more, _ = draw(replace(SMALL, families=4))
    assert np.array_equal(more[: len(small[0])], small[0])


@pytest.mark.parametrize("change", [{"split": "test"}, {"seed": 8}])
def test_no_image_is_in_two_splits_or_seeds(
    small: tuple[NDArray[np.uint8], NDArray[np.int64]], change: dict[str, str | int]
) -> None:
    other, _ = draw(replace(SMALL, **change))  # type: ignore[arg-type]
    assert {image.tobytes() for image in other}.isdisjoint(image.tobytes() for image in small[0])


def test_no_image_is_drawn_twice(small: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    assert len({image.tobytes() for image in small[0]}) == len(small[0])


def test_every_class_has_its_own_name() -> None:
    names = class_names(EVERY_CLASS)
    assert len(set(names)) == EVERY_CLASS.classes
    assert all(name.isascii() and name.count("-") == 1 for name in names)
    assert names[0].startswith(FAMILIES[0].name)


def test_looks_use_known_marks_and_are_told_apart() -> None:
    for _, marks in LOOKS:
        assert marks <= set(MARKS)
    assert len({marks for _, marks in LOOKS}) == len(LOOKS)


def test_species_of_a_family_differ_in_few_pixels_at_equal_pose() -> None:
    pictures = _at_equal_pose(poses=4)
    species = pictures.reshape(4, len(FAMILIES), len(LOOKS), 32, 32, 3).astype(int)
    within = abs(species[:, :, 1:] - species[:, :, :1]).max(axis=-1) > 16
    shares = within.mean(axis=(-2, -1))
    assert shares.max() < 0.12
    assert shares.mean() < 0.05
    assert shares.mean(axis=0).min() > 0.002, "some species cannot be told from the first"


def test_families_differ_in_more_pixels_than_species() -> None:
    pictures = _at_equal_pose(poses=4)
    birds = pictures.reshape(4, len(FAMILIES), len(LOOKS), 32, 32, 3).astype(int)
    species = (abs(birds[:, :, 1:] - birds[:, :, :1]).max(axis=-1) > 16).mean()
    families = (abs(birds[:, 1:] - birds[:, :1]).max(axis=-1) > 16).mean()
    assert families > 2 * species


def test_the_painting_stays_within_its_random_numbers() -> None:
    """A picture's numbers are drawn beforehand; using one more would change all others' meaning."""
    kinds = kinds_of(SMALL)
    noise = np.zeros((len(kinds), 32, 32, 3), dtype=np.uint8)
    with pytest.raises((IndexError, ValueError)):
        paint_scenes(kinds, numbers=np.zeros((len(kinds), 8)), noise=noise, size=32)


@pytest.mark.parametrize(("families", "species"), [(0, 2), (99, 2), (2, 0), (2, 99)])
def test_a_card_that_asks_for_too_much_is_told_so(families: int, species: int) -> None:
    with pytest.raises(CardError, match="change the card"):
        SketchSpec(families=families, species=species, images_per_class=1, split="train")


def test_other_sizes_can_be_drawn() -> None:
    images, _ = draw(replace(SMALL, size=48, images_per_class=1))
    assert images.shape == (6, 48, 48, 3)


def test_a_contact_sheet_has_a_row_for_every_class(
    small: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    sheet = contact_sheet(*small, class_names(SMALL), columns=3, cell=40)
    taller = contact_sheet(*small, [*class_names(SMALL), "unseen"], columns=3, cell=40)
    assert taller.height - sheet.height == 44
    assert sheet.width > 3 * 40


def test_a_contact_sheet_takes_images_of_any_size() -> None:
    images = [np.zeros((9, 30, 3), dtype=np.uint8), np.zeros((300, 200), dtype=np.uint8)]
    assert contact_sheet(images, [0, 1], ["wide", "tall"], cell=50).mode == "RGB"


def test_a_contact_sheet_refuses_a_label_without_a_name() -> None:
    with pytest.raises(ValueError, match="label 1 has no name"):
        contact_sheet(np.zeros((1, 8, 8, 3), dtype=np.uint8), [1], ["only"])


def _at_equal_pose(poses: int) -> NDArray[np.uint8]:
    """Every class at the same pose, light and surroundings, (poses, classes, 32, 32, 3)."""
    kinds = kinds_of(EVERY_CLASS)
    generator = np.random.Generator(np.random.PCG64(0))
    noise = np.zeros((len(kinds), 32, 32, 3), dtype=np.uint8)
    return np.stack(
        [
            paint_scenes(
                kinds,
                numbers=np.tile(generator.random(NUMBERS), (len(kinds), 1)),
                noise=noise,
                size=32,
            )
            for _ in range(poses)
        ]
    )
