"""The small matrix that is tortured, its folders, and what must be equal in the end."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import TINY_CARD

METHODS = ("vanilla", "kd", "crd", "th-kd", "sh-kd")
PAIRS = ("resnet14:resnet8", "resnet14:resnet14")
LOADED_CARD = TINY_CARD.replace('name = "tiny"', 'name = "loaded"').replace(
    '[[augmentation]]\nname = "horizontal_flip"',
    '[[augmentation]]\nname = "rand_augment"',
)
"""A card whose images come from worker processes: there is no twin of this on the device."""

# What may differ between two trainings of one run: where, when and with whom it was trained.
OF_THE_MACHINE = ("environment", "finished", "checksum", "history")
OF_THE_CLOCK = (
    "evaluation_seconds", "group", "group_seconds", "images_per_s", "peak_memory_mb",
    "train_seconds", "recipe_seconds",
)  # fmt: skip
OF_AN_EPOCH = ("images_per_s", "seconds")


@dataclass(frozen=True)
class Ground:
    """Folders of one matrix.

    Args:
        folder: of all of them.
        cards: given by ``--path``.
        cache: of drawn images.
    """

    folder: Path
    cards: Path
    cache: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def words(
        self, *, card: str = "tiny", workers: int = 1, methods: tuple[str, ...] = METHODS,
        pairs: tuple[str, ...] = PAIRS, seeds: str = "2", protocol: str = "quick",
        checkpoint_minutes: float = 0.0,
    ) -> list[str]:  # fmt: skip
        """The words of the command that trains it; by default a checkpoint at every chance."""
        words = ["run", "--dataset", card, "--path", str(self.cards), "--seeds", seeds]
        words += [word for pair in pairs for word in ("--pair", pair)]
        words += [word for method in methods for word in ("--recipe", method)]
        words += ["--runs", str(self.runs), "--results", str(self.results), "--threads", "1"]
        words += ["--workers", str(workers), "--protocol", protocol]
        return [*words, "--checkpoint-minutes", str(checkpoint_minutes)]

    @property
    def environment(self) -> dict[str, str]:
        return {"KDBENCH_CACHE": str(self.cache)}

    def state(self) -> dict[str, str]:
        """What was trained, file by file: equal for equal numbers."""
        found = {}
        for root in (self.results, self.runs):
            for path in sorted(root.rglob("*")):
                if not path.is_dir():
                    found[path.relative_to(self.folder).as_posix()] = _content(path)
        return found


def write_cards(folder: Path) -> Path:
    """The folder of cards."""
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    (folder / "recipes").mkdir(exist_ok=True)
    (folder / "datasets" / "tiny.toml").write_text(TINY_CARD)
    (folder / "datasets" / "loaded.toml").write_text(LOADED_CARD)
    return folder


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> dict[str, list[str]]:
    """What is lost, what is too much, and what differs."""
    common = expected.keys() & found.keys()
    return {
        "lost": sorted(expected.keys() - found.keys()),
        "too much": sorted(found.keys() - expected.keys()),
        "different": sorted(name for name in common if expected[name] != found[name]),
    }


def trained_by(said: str) -> Iterator[str]:
    """The labels of runs that a command says it has trained."""
    for line in said.splitlines():
        if line.endswith(" left)") and "by another process" not in line:
            yield line.partition("  ")[2].partition(":")[0]


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.suffix == ".json":
        values: dict[str, Any] = json.loads(path.read_text())
        values = {key: value for key, value in values.items() if key not in OF_THE_MACHINE}
        cost = values.get("cost") or {}
        values["cost"] = {key: value for key, value in cost.items() if key not in OF_THE_CLOCK}
        return json.dumps(values, sort_keys=True)
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        return json.dumps([{k: v for k, v in row.items() if k not in OF_AN_EPOCH} for row in rows])
    return hashlib.sha256(path.read_bytes()).hexdigest()
