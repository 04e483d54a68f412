"""A trained network measured on images of one's own: a folder with one subfolder a class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.deploy.program import Program
from benchmark.deploy.viewing import View, as_pixels
from benchmark.errors import DataError, suggestion
from benchmark.layouts.listing import IMAGE_SUFFIXES
from benchmark.records.schema import Metrics
from benchmark.training.examining.evaluation import Tally
from benchmark.work.rebuilding import Student

AT_ONCE = 64  # images


@dataclass(frozen=True)
class Evaluated:
    """What a network gives on a folder.

    Attributes:
        folder: of the images.
        metrics: of those that could be read.
        classes: of the folder.
        faults: why others could not be read.
    """

    folder: Path
    metrics: Metrics
    classes: tuple[str, ...]
    faults: tuple[str, ...]

    def as_json(self, student: Student) -> dict[str, Any]:
        """For machines, beside what the record says."""
        recorded = student.record.metrics
        return {
            "cell": student.cell,
            "folder": str(self.folder),
            "classes": len(self.classes),
            "of_classes": student.pictures.classes,
            "metrics": self.metrics.model_dump(exclude={"evaluated_on", "agreement"}),
            "recorded": recorded.model_dump(exclude={"evaluated_on"}) if recorded else None,
            "errors": list(self.faults),
        }


@torch.no_grad()
def evaluate(student: Student, folder: Path, accelerator: Accelerator) -> Evaluated:
    """Measure a network on a folder of images, in float32.

    Args:
        student: to be measured.
        folder: has one subfolder a class, by the names of the student's classes; not all of them
            need be there.
        accelerator: owns the device.

    Raises:
        DataError: a subfolder is of no class, there are no images, or none of them can be read.
    """
    by_label = _listed(folder, student.class_names)
    paths = [(path, label) for label, of_class in by_label.items() for path in of_class]
    program = Program.of(student).to(accelerator.device)
    view = View.of(student.run.card, student.pictures)
    tally = Tally(student.pictures.classes, accelerator.device, None)
    faults: list[str] = []
    for start in range(0, len(paths), AT_ONCE):
        some = paths[start : start + AT_ONCE]
        seen = list(view.see([path for path, _ in some]))
        images = [image for image in seen if isinstance(image, Tensor)]
        labels = [y for (_, y), image in zip(some, seen, strict=True) if isinstance(image, Tensor)]
        faults += [str(image) for image in seen if not isinstance(image, Tensor)]
        if images:
            y = torch.tensor(labels, device=accelerator.device)
            tally.add(program(as_pixels(images).to(accelerator.device)), y, torch.zeros_like(y))
    if len(faults) == len(paths):
        raise DataError(f"no image in {folder} can be read: {faults[0]}")
    metrics = tally.metrics(accelerator, "test")
    if metrics is None:
        raise DataError(f"the predictions on {folder} are not finite.")
    names = tuple(student.class_names[label] for label in by_label)
    return Evaluated(folder, metrics, names, tuple(faults))


def _listed(folder: Path, names: Sequence[str]) -> Mapping[int, list[Path]]:
    """The images by label."""
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}. Name one that holds a folder for each class."
        )
    labels = _labels(names)
    found: dict[int, list[Path]] = {}
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        if inside.name.startswith("."):
            continue
        label = labels.get(inside.name, labels.get(_plain(inside.name)))
        if label is None:
            near = suggestion(inside.name, names)
            raise DataError(
                f"{inside} is called as no class of the network is.{near}\n"
                f"Its {len(names)} classes: {', '.join(names[:8])}{', …' * (len(names) > 8)}. "
                "Rename the folder, or move it out."
            )
        images = sorted(p for p in inside.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        found.setdefault(label, []).extend(images)
    if not any(found.values()):
        raise DataError(
            f"{folder} holds no images. It should hold a folder for each class: "
            f"{folder}/CLASS/*.jpg."
        )
    return {label: found[label] for label in sorted(found)}


def _labels(names: Sequence[str]) -> dict[str, int]:
    """Labels by the names of classes, and by plain ones where those tell the classes apart."""
    plain = [_plain(name) for name in names]
    loose = {name: label for label, name in enumerate(plain) if plain.count(name) == 1}
    return loose | {name: label for label, name in enumerate(names)}


def _plain(name: str) -> str:
    """``001.Black_footed_Albatross`` as ``black footed albatross``."""
    return re.sub(r"[\s_-]+", " ", re.sub(r"^\d+[._ -]", "", name)).strip().casefold()
