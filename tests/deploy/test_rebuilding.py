"""What a network is rebuilt from: the file of its own weights."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmark.networks.creation import create_network
from tests.deploy.conftest import NAMES, MakeStudent


def test_a_teacher_that_was_brought_may_be_gone(make_student: MakeStudent, tmp_path: Path) -> None:
    """Its digest, which is in the cell's identity, is in its record."""
    file = tmp_path / "teacher.pt"
    torch.save(create_network("resnet14", classes=4).state_dict(), file)
    made = make_student("simkd", "resnet14:resnet8", str(file))
    assert not file.exists()
    assert "~" in made.cell
    student = made.student
    assert student.class_names == NAMES
    assert student.network.classifier.in_features == student.network.embedding_dim


def test_weights_say_what_they_are(make_student: MakeStudent) -> None:
    made = make_student()
    legend = made.student.legend
    assert legend is not None
    assert legend.cell == made.cell
    assert (legend.network, legend.recipe, legend.dataset) == ("timm/test_resnet", "kd", "tiny")
    assert (legend.image_size, legend.mean, legend.std) == (32, (0.5,) * 3, (0.25,) * 3)
