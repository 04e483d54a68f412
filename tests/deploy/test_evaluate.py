"""A trained network measured on a folder of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from benchmark.data.splits import DataSet
from benchmark.deploy.evaluate import evaluate
from benchmark.errors import DataError
from tests.deploy.conftest import NAMES, MakeStudent


@pytest.fixture
def folder(tiny: DataSet, tmp_path: Path) -> Path:
    """The test images of two of the four classes."""
    assert isinstance(tiny.test.images, torch.Tensor)
    for label, name in ((0, "001.Pine_finch"), (3, NAMES[3])):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in torch.where(tiny.test.labels == label)[0].tolist():
            image = Image.fromarray(tiny.test.images[number].numpy())
            image.save(tmp_path / "own" / name / f"{number}.png")
    return tmp_path / "own"


def test_it_is_what_the_network_gives_on_these_images(
    make_student: MakeStudent, folder: Path, tiny: DataSet, accelerator: Accelerator
) -> None:
    """Folders may be called as the data set calls its own."""
    student = make_student().student
    found = evaluate(student, folder, accelerator)
    assert isinstance(tiny.test.images, torch.Tensor)
    seen = (tiny.test.labels == 0) | (tiny.test.labels == 3)
    images = (tiny.test.images[seen].permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    logits, labels = student.network(images).logits, tiny.test.labels[seen]
    assert found.metrics.images == 12
    assert found.metrics.top1 == pytest.approx(
        100 * (logits.argmax(1) == labels).float().mean().item()
    )
    nll = torch.nn.functional.cross_entropy(logits, labels).item()
    assert found.metrics.nll == pytest.approx(nll, rel=1e-5)
    assert found.classes == (NAMES[0], NAMES[3])
    told = found.as_json(student)
    assert (told["classes"], told["of_classes"], told["recorded"]["top1"]) == (2, 4, 50.0)


def test_broken_images_are_named_and_left_out(
    make_student: MakeStudent, folder: Path, accelerator: Accelerator
) -> None:
    first, second, *_ = sorted(folder.rglob("*.png"))
    first.write_text("no image")
    second.write_bytes(second.read_bytes()[:40])
    found = evaluate(make_student().student, folder, accelerator)
    assert found.metrics.images == 10
    assert [str(path) in fault for path, fault in zip((first, second), found.faults, strict=True)]


def test_folders_that_are_no_classes_are_refused(
    make_student: MakeStudent, folder: Path, tmp_path: Path, accelerator: Accelerator
) -> None:
    student = make_student().student
    (folder / "Crows").mkdir()
    with pytest.raises(DataError, match="Did you mean 'Crow'"):
        evaluate(student, folder, accelerator)
    (tmp_path / "empty" / "Crow").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images"):
        evaluate(student, tmp_path / "empty", accelerator)
    (tmp_path / "empty" / "Crow" / "one.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"no image in .* can be read"):
        evaluate(student, tmp_path / "empty", accelerator)
    with pytest.raises(DataError, match="there is no folder"):
        evaluate(student, tmp_path / "nowhere", accelerator)
