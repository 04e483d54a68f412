"""What a trained network says of image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.data.splits import DataSet
from benchmark.deploy.predict import AT_ONCE, predictions
from benchmark.deploy.viewing import View
from tests.deploy.conftest import NAMES, MakeStudent


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:02}.png" for number in range(AT_ONCE + 2)]
    for number, path in enumerate(paths):
        noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return paths


def test_images_of_the_data_set_s_size_are_seen_as_in_the_evaluation(
    make_student: MakeStudent, tiny: DataSet, tmp_path: Path
) -> None:
    student = make_student().student
    assert isinstance(tiny.test.images, torch.Tensor)
    pixels = tiny.test.images[0]
    Image.fromarray(pixels.numpy()).save(tmp_path / "one.png")
    [one] = predictions(student, [tmp_path / "one.png"])
    images = ((pixels.permute(2, 0, 1) / 255 - 0.5) / 0.25)[None]
    wanted = student.network(images).logits.softmax(1)[0]
    assert [name for name, _, _ in one.classes] == [NAMES[i] for i in wanted.argsort().flip(0)]
    assert one.classes[0][2] == pytest.approx(wanted.max().item(), abs=1e-5)


def test_an_image_that_cannot_be_read_is_named_and_the_others_answered(
    make_student: MakeStudent, photos: list[Path]
) -> None:
    photos[3].write_bytes(photos[3].read_bytes()[:50])
    photos[AT_ONCE].unlink()
    found = list(predictions(make_student().student, photos))
    assert [one.path for one in found] == photos
    broken = {one.path.name: one.fault for one in found if one.fault}
    assert set(broken) == {"03.png", f"{AT_ONCE}.png"}
    assert all(str(photos[0].parent / name) in str(fault) for name, fault in broken.items())
    alone = list(predictions(make_student().student, [photos[-1]]))
    assert alone[0].classes[0][2] == pytest.approx(found[-1].classes[0][2], abs=1e-6)


def test_photographs_are_cut_as_their_evaluation_cuts_them(make_student: MakeStudent) -> None:
    student = make_student().student
    assert View.of(student.run.card, student.pictures) == View(32, 32)
