"""Image files of every kind become upright RGB pixels, or are refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.data.decoding import decode_image
from benchmark.data.sources.files import FileImages
from benchmark.errors import DataError
from tests.support.miniatures import picture


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_an_image_is_turned_as_its_exif_says() -> None:
    image = Image.new("RGB", (8, 4), "black")
    image.paste("white", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    pixels = decode_image(encoded(image, exif=exif), "x.png")
    assert pixels.shape == (8, 4, 3)
    assert pixels[0].min() == 255
    assert pixels[-1].max() == 0


def test_grey_becomes_three_equal_channels() -> None:
    pixels = decode_image(encoded(Image.new("L", (3, 2), 77)), "x.png")
    assert pixels.shape == (2, 3, 3)
    assert set(pixels.ravel()) == {77}


@pytest.mark.parametrize("value", [0, 128, 257, 32896, 65535])
def test_sixteen_bits_become_eight(value: int) -> None:
    values = np.full((2, 3), value, dtype=np.uint16)
    pixels = decode_image(encoded(Image.fromarray(values)), "x.png")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2, 3, 3)
    assert set(pixels.ravel()) == {round(value / 257)}


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    pixels = decode_image(encoded(image, "JPEG", quality=100), "x.jpg")
    assert np.abs(pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("transparent", [False, True])
def test_palettes(transparent: bool) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([0, 1])
    options: dict[str, object] = {"transparency": b"\x00\xff"} if transparent else {}
    pixels = decode_image(encoded(image, **options), "x.png")
    assert tuple(pixels[0, 1]) == (200, 100, 0)
    assert tuple(pixels[0, 0]) == ((255, 255, 255) if transparent else (10, 20, 30))


def test_what_is_transparent_lies_on_white() -> None:
    image = Image.new("RGBA", (1, 1), (0, 0, 0, 0))
    assert set(decode_image(encoded(image), "x.png").ravel()) == {255}


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_range_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match=r"x\.tif: .* 32 bits .* 8 or 16"):
        decode_image(encoded(Image.new(mode, (2, 2)), "TIFF"), "x.tif")


def test_a_truncated_jpeg_names_its_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "a.jpg").write_bytes(picture(0, 0))
    (tmp_path / "b.jpg").write_bytes(encoded(Image.fromarray(noise), "JPEG")[:-500])
    images = FileImages((tmp_path / "a.jpg", tmp_path / "b.jpg"))
    assert images[0].shape == (20, 24, 3)
    with pytest.raises(DataError) as caught:
        images[1]
    for part in (str(tmp_path / "b.jpg"), "truncated", "Fetch the file again"):
        assert part in str(caught.value)


def test_files_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{number}.jpg" for number in range(3))
    images = FileImages(paths)
    assert len(images) == 3
    for number, path in enumerate(paths):
        path.write_bytes(picture(1, number))
    chosen = images.select(torch.tensor([2, 0]).tolist())
    assert [chosen[0].shape, chosen[1].shape] == [(21, 26, 3), (21, 24, 3)]
    paths[0].unlink()
    with pytest.raises(DataError, match=r"0\.jpg cannot be read"):
        images[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (bytes(900), "all of its 900 bytes are 0"),
        (b"\n<!DOCTYPE html><html>", "a page of text"),
        (b"no picture at all", "no picture of a kind that is read"),
        (bytes(4) + b"ftypheic" + bytes(9), "HEIC, .* save it as JPEG"),
    ],
)
def test_what_is_no_picture_is_told_in_words(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        decode_image(content, "x.jpg")
    assert str(caught.value).startswith("x.jpg: ")
    assert "BytesIO" not in str(caught.value)


def test_only_formats_of_pictures_are_opened() -> None:
    """Pillow hands EPS to a program of its own, Ghostscript."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "EPS")
    with pytest.raises(DataError, match="the image cannot be decoded"):
        decode_image(stream.getvalue(), "somewhere")


def test_a_size_beyond_all_photos_is_not_opened() -> None:
    header = b"P6\n30000 30000\n255\n"
    with pytest.raises(DataError, match="the image cannot be decoded"):
        decode_image(header + bytes(100), "somewhere")
