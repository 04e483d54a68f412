"""What a trained network says of image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.deploy.program import Program
from benchmark.deploy.viewing import View, as_pixels
from benchmark.work.rebuilding import Student

LIKELIEST = 5
AT_ONCE = 32  # images


@dataclass(frozen=True)
class Prediction:
    """What is said of one image.

    Attributes:
        path: of the image.
        classes: the likeliest, each with its name, label and probability; none of an image that
            cannot be read.
        fault: why it cannot be read.
    """

    path: Path
    classes: tuple[tuple[str, int, float], ...] = ()
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The prediction for machines."""
        classes = [
            {"class": name, "label": label, "probability": round(probability, 6)}
            for name, label, probability in self.classes
        ]
        return {"image": str(self.path), "classes": classes, "error": self.fault}


@torch.no_grad()
def predictions(student: Student, paths: Sequence[Path]) -> Iterator[Prediction]:
    """What the network says of each image, in their order."""
    program, view = Program.of(student), View.of(student.run.card, student.pictures)
    for some in (paths[start : start + AT_ONCE] for start in range(0, len(paths), AT_ONCE)):
        seen = dict(zip(some, view.see(some), strict=True))
        images = [image for image in seen.values() if isinstance(image, Tensor)]
        said = iter(program(as_pixels(images)).softmax(1)) if images else iter(())
        for path, image in seen.items():
            if isinstance(image, Tensor):
                yield Prediction(path, _likeliest(next(said), student.class_names))
            else:
                yield Prediction(path, fault=str(image))


def _likeliest(said: Tensor, names: Sequence[str]) -> tuple[tuple[str, int, float], ...]:
    top = said.topk(min(LIKELIEST, len(said)))
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return tuple((names[label], label, probability) for label, probability in pairs)
