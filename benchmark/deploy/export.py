"""A folder with a trained network, for those who have no kdbench."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from benchmark.deploy.formats import FORMATS
from benchmark.deploy.model_card import model_card
from benchmark.deploy.viewing import View
from benchmark.errors import UnknownName, UsageError
from benchmark.events import Listener
from benchmark.reports.escape import json_text
from benchmark.work.rebuilding import Student

PAGE = "README.md"
PIXELS = Path(__file__).with_name("pixels.py.jinja")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        differences: by format, the largest of a logit from the network's, of the largest logit.
        files: bytes by name.
    """

    folder: Path
    differences: Mapping[str, float]
    files: Mapping[str, int]

    def as_json(self, cell: str, hub: str | None) -> dict[str, Any]:
        """What was written, for machines; with the cell, and the address on the hub."""
        return {
            "cell": cell,
            "folder": str(self.folder),
            "formats": {name: {"difference": worst} for name, worst in self.differences.items()},
            "files": dict(self.files),
            "hub": hub,
        }


def export(
    student: Student,
    folder: Path,
    formats: Sequence[str],
    *,
    hub_name: str | None = None,
    listener: Listener | None = None,
) -> Exported:
    """Write a trained network in some formats, whole or not at all.

    Args:
        student: to be exported.
        folder: to be made; one that is there must be empty.
        formats: by name.
        hub_name: by what name it will be on the hub, if it will.
        listener: hears what is being done.

    Raises:
        UnknownName: there is no such format.
        UsageError: the folder is not empty or cannot be written, the network has no such form, or
            a package is lacking.
        NetworkError: a form cannot be made, or says something else than the network.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownName("format", name, FORMATS, f"Formats: {', '.join(FORMATS)}.")
    _check_empty(folder)
    listener = listener or Listener()
    if student.legend is None:
        listener.note("no names of classes are kept with these weights: they are numbers")
    place = f"hf-hub:{hub_name}" if hub_name else "local-dir:."
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".kdbench-export-") as made:
            inside = Path(made) / "export"
            inside.mkdir()
            differences = {}
            for name in dict.fromkeys(formats):
                listener.note(f"writing {name} and comparing it with the network")
                differences[name] = FORMATS[name].written(student, inside)
            _describe(student, inside, list(differences), place)
            for path in inside.iterdir():  # some libraries write for their user alone
                path.chmod((inside / PAGE).stat().st_mode)
            if folder.exists():
                folder.rmdir()
            shutil.move(inside, folder)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}.") from None
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Exported(folder, differences, files)


def _describe(student: Student, folder: Path, formats: Sequence[str], place: str) -> None:
    """Write what is told of the network: its page, its labels, its record, how it is shown."""
    view, pictures = View.of(student.run.card, student.pictures), student.pictures
    labels = {
        "cell": student.cell,
        "identity": student.record.identity,
        "class_names": list(student.class_names),
        "image_size": view.size,
        "short_side": view.short,
        "mean": list(pictures.mean),
        "std": list(pictures.std),
    }
    pixels = jinja2.Template(PIXELS.read_text("utf-8"), keep_trailing_newline=True)
    texts = {
        "labels.json": json_text(labels),
        "pixels.py": pixels.render(size=view.size, short=view.short),
        "record.json": json_text(student.record.model_dump(mode="json")),
        PAGE: model_card(student, formats, place),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def _check_empty(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is there, and is no folder. Name another one with --to.")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"the folder {folder} is not empty. Name a new one with --to; nothing is overwritten."
        )
