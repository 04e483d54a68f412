"""Images that are there more than once are found, whatever was done to them, and no others."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from benchmark.data.look.looking import Look, look_at, seen
from benchmark.data.look.report import Report
from benchmark.data.look.twins import LEAST_CORRELATION, MOST_BITS, find_twins, nearest
from benchmark.data.sources.files import FileImages
from benchmark.sketches import SketchSpec, draw


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Drawn birds, each of another species."""
    spec = SketchSpec(families=3, species=4, images_per_class=1, split="train", seed=3, size=96)
    pixels, _ = draw(spec)
    return [Image.fromarray(image) for image in pixels]


def looks_of(folder: Path) -> list[Look]:
    return seen(look_at(FileImages(tuple(sorted(folder.iterdir())))))


def saved(folder: Path, images: list[Image.Image], **options: object) -> list[Look]:
    folder.mkdir()
    for number, image in enumerate(images):
        image.save(folder / f"{number:02}.jpg", **options)  # type: ignore[arg-type]
    return looks_of(folder)


def test_different_pictures_are_no_twins(photographs: list[Image.Image], tmp_path: Path) -> None:
    looks = saved(tmp_path / "a", photographs)
    assert nearest(looks[:6], looks[6:]) == [None] * 6


def test_a_changed_copy_is_found(photographs: list[Image.Image], tmp_path: Path) -> None:
    originals = saved(tmp_path / "a", photographs, quality=95)
    changes = {
        "pressed": [image.copy() for image in photographs],
        "smaller": [image.resize((48, 48)) for image in photographs],
        "darker": [ImageEnhance.Brightness(image).enhance(0.8) for image in photographs],
        "grey": [image.convert("L") for image in photographs],
    }
    for name, images in changes.items():
        copies = saved(tmp_path / name, images, quality=40)
        assert nearest(copies, originals) == list(range(len(photographs))), name


def test_pictures_of_one_colour_are_only_twins_bit_for_bit(tmp_path: Path) -> None:
    looks = saved(tmp_path / "a", [Image.new("RGB", (40, 40), (n, n, n)) for n in (10, 10, 200)])
    assert nearest(looks[:1], looks[1:]) == [None]
    twins = find_twins({"train": looks[:1], "test": looks[1:]}, {"train": [0], "test": [1, 1]})
    [group] = twins.across()
    assert [(one.split, Path(one.place).name, one.label) for one in group] == [
        ("train", "00.jpg", 0),
        ("test", "01.jpg", 1),
    ]
    assert twins.alike == ()


@given(
    hashes=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12),
    flips=st.lists(st.sets(st.integers(0, 63), max_size=12), min_size=1, max_size=12),
    seed=st.integers(0, 100),
)
def test_blocks_find_what_a_plain_loop_finds(
    hashes: list[int], flips: list[set[int]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    base = random.integers(0, 256, 256)

    def look(fingerprint: int) -> Look:
        noise = random.integers(-90, 91, 256)
        thumbnail = np.clip(base + noise, 0, 255).astype(np.uint8)
        zero = np.zeros(3)
        return Look("x", (1, 1), "RGB", False, b"", fingerprint, thumbnail, zero, zero)

    others = [look(fingerprint) for fingerprint in hashes]
    looks = [
        look(hashes[n % len(hashes)] ^ sum(1 << bit for bit in bits))
        for n, bits in enumerate(flips)
    ]
    found = nearest(looks, others)
    for one, partner in zip(looks, found, strict=True):
        likeness = {
            at: float(np.corrcoef(one.thumbnail, other.thumbnail)[0, 1])
            for at, other in enumerate(others)
            if (one.fingerprint ^ other.fingerprint).bit_count() <= MOST_BITS
        }
        near = {at: value for at, value in likeness.items() if value >= LEAST_CORRELATION - 1e-5}
        if partner is None:
            assert all(value < LEAST_CORRELATION + 1e-5 for value in likeness.values())
        else:
            assert near[partner] == pytest.approx(max(near.values()), abs=1e-5)


def test_a_report_says_what_is_there_twice(photographs: list[Image.Image], tmp_path: Path) -> None:
    train = saved(tmp_path / "train", [*photographs[:4], photographs[0]])
    test = saved(tmp_path / "test", [photographs[1], photographs[2].resize((60, 60))])
    labels = {"train": [0, 0, 1, 1, 1], "test": [0, 1]}
    report = Report.of("mine", "here", ("ash", "birch"), {"train": train, "test": test}, labels)
    assert report.problems == []
    leaked, alike, double = report.warnings
    assert leaked.what == "1 test image is also among the training images, bit for bit:"
    assert leaked.cases == (("train/01.jpg (train)", "= test/00.jpg (test)"),)
    assert alike.what == "1 test image is nearly the same as a training image:"
    assert alike.cases == (("train/02.jpg (train)", "~ test/01.jpg (test)"),)
    assert double.what == "1 image is there more than once, in one split:"
    assert double.cases == (
        (
            "train/00.jpg (train)",
            "= train/04.jpg (train)",
            "called 'ash' and 'birch': which is it?",
        ),
    )
    told = report.as_json()
    assert told["nearly_identical"] == [
        [
            {"split": "train", "image": str(tmp_path / "train" / "02.jpg"), "class": "birch"},
            {"split": "test", "image": str(tmp_path / "test" / "01.jpg"), "class": "birch"},
        ]
    ]
    assert [len(group) for group in told["identical"]] == [2, 2]


def test_uneven_classes_are_said(photographs: list[Image.Image], tmp_path: Path) -> None:
    train = saved(tmp_path / "train", photographs)
    test = saved(tmp_path / "test", [Image.new("RGB", (9, 9), (n, 0, 0)) for n in (1, 99)])
    labels = {"train": [0] * 11 + [1], "test": [0, 1]}
    report = Report.of("mine", "here", ("ash", "birch"), {"train": train, "test": test}, labels)
    [uneven] = report.warnings
    assert uneven.what == "the classes are uneven: 'ash' has 11 training images, 'birch' 1."
    told = report.as_json()
    assert told["imbalance"] == 11
    assert told["warnings"][0]["cases"] == []


def test_colours_and_turns_are_counted_as_they_are_stored(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=turned)
    Image.new("L", (8, 4), 9).save(tmp_path / "b.png")
    Image.new("CMYK", (8, 4)).save(tmp_path / "c.jpg")
    looks = looks_of(tmp_path)
    assert [(look.mode, look.turned, look.size) for look in looks] == [
        ("RGB", True, (8, 4)),
        ("L", False, (4, 8)),
        ("CMYK", False, (4, 8)),
    ]


def test_pixels_without_a_file_are_named_by_their_number() -> None:
    pixels = torch.randint(0, 256, (3, 20, 20, 3), dtype=torch.uint8)
    pixels[2] = pixels[0]
    looks = seen(look_at(pixels))
    assert [look.place for look in looks] == [f"image {n}" for n in range(3)]
    assert looks[0].digest == looks[2].digest != looks[1].digest
    np.testing.assert_allclose(looks[1].mean, pixels[1].reshape(-1, 3).numpy().mean(0) / 255)
    np.testing.assert_allclose(
        looks[1].squares, ((pixels[1].reshape(-1, 3).numpy() / 255) ** 2).mean(0)
    )


def test_mean_and_squares_are_those_of_the_upright_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    [look] = looks_of(tmp_path)
    np.testing.assert_allclose(look.mean, noise.reshape(-1, 3).mean(0) / 255)
    assert look.size == (30, 50)
