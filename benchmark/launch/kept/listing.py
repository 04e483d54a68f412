"""The folder of runs, by cell: what lies there, how far it is, and how large.

Whoever trains a run writes into its folder what was asked for. Folders of older versions have no
such file: they are known by their record, or by the claim of whoever trains them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.launch.claims import Holder, living
from benchmark.records.canonical import identity_of, recipe_label
from benchmark.records.places import place_of
from benchmark.records.schema import Record, RunSpec
from benchmark.training.keeping.names import CHECKPOINT_NAME, FOLDER, PICKLE, SPEC, WEIGHTS_NAME
from benchmark.training.keeping.stand import BEGINNING, Stand

LARGEST_SPEC = 1_000_000  # bytes; what was asked for is some thousand


@dataclass(frozen=True)
class KeptRun:
    """The folder of one run.

    Attributes:
        folder: where.
        sizes: bytes of the files in it, by name; links and folders are not among them.
        changed: when the last of them was written, seconds since 1970.
        spec: what was asked for; None if nothing tells.
        status: of its record in the results that are looked at; empty if there is none.
        holder: who trains it; None if nobody does.
        silent_s: since the holder's last sign, seconds.
    """

    folder: Path
    sizes: Mapping[str, int]
    changed: float
    spec: RunSpec | None = None
    status: str = ""
    holder: Holder | None = None
    silent_s: float = 0.0

    @property
    def cell(self) -> str:
        """What it is of, as ``kdbench show`` takes it; empty if nothing tells."""
        if self.spec is not None:
            return place_of(self.spec).with_suffix("").as_posix()
        return ""

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(self.sizes.values())

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The files that it could go on from, by name."""
        return tuple(sorted(name for name in self.sizes if CHECKPOINT_NAME.fullmatch(name)))

    @property
    def weights(self) -> tuple[str, ...]:
        """The files that others build on, by name."""
        return tuple(sorted(name for name in self.sizes if WEIGHTS_NAME.fullmatch(name)))

    @property
    def pickles(self) -> tuple[str, ...]:
        """The checkpoints of an older version, which nothing reads, by name."""
        return tuple(name for name in self.sizes if name == PICKLE)

    @property
    def stand(self) -> Stand:
        """How far its newest checkpoint is; the beginning if there is none."""
        found = (CHECKPOINT_NAME.fullmatch(name) for name in self.checkpoints)
        return max((Stand(int(n[1]), int(n[2])) for n in found if n), default=BEGINNING)

    @property
    def state(self) -> str:
        """In a word or two, for a person."""
        if self.holder is not None:
            return "training"
        if self.status:
            return "done" if self.status == "ok" else self.status
        return "half trained" if self.checkpoints else "no record here"

    @property
    def epochs(self) -> int:
        """That its protocol asks for; 0 if nothing tells."""
        told = self.spec.protocol_values.get("epochs") if self.spec else None
        if isinstance(told, int):
            return told
        return self.holder.epochs if self.holder else 0

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        epoch = self.holder.epoch if self.holder and self.holder.epochs else self.stand.epoch
        return {
            "cell": self.cell,
            "folder": str(self.folder),
            "state": self.state,
            "epoch": self.epochs if self.status == "ok" and not self.holder else epoch,
            "epochs": self.epochs,
            "bytes": self.size_bytes,
            "checkpoint_bytes": sum(self.sizes[name] for name in self.checkpoints),
            "weight_bytes": sum(self.sizes[name] for name in self.weights),
            "changed": self.changed,
        } | self.as_work()

    def as_work(self) -> dict[str, Any]:
        """What ``kdbench status`` shows of a run that is not finished, as plain data."""
        spec, holder = self.spec, self.holder
        label = holder.label if holder else ""
        if spec is not None:
            teacher = spec.roles.get("teacher")
            where = f"{teacher.network}→{spec.network}" if teacher else spec.network
            label = f"{where} {recipe_label(spec.recipe, spec.changed)}"
        return {
            "dataset": spec.dataset if spec else "",
            "protocol": spec.protocol if spec else "",
            "seed": spec.seed if spec else None,
            "label": label,
            "host": holder.host if holder else "",
            "pid": holder.pid if holder else 0,
            "silent_s": self.silent_s,
        }


def list_runs(root: Path, records: Iterable[Record]) -> list[KeptRun]:
    """The folders of runs below one folder, by cell; what is no run's folder is not looked into.

    Args:
        root: usually ``runs/``.
        records: of the results that are looked at.
    """
    by_folder = {record.identity[:16]: record for record in records}
    at_work = {name: (holder, age) for name, holder, age in living(root)}
    found = []
    for folder in _folders(root):
        record = by_folder.get(folder.name)
        holder, age = at_work.get(folder.name, (None, 0.0))
        states = _files(folder)
        found.append(
            KeptRun(
                folder,
                {name: state.st_size for name, state in states.items()},
                max((state.st_mtime for state in states.values()), default=0.0),
                record.spec if record else _spec_in(folder),
                record.status if record else "",
                holder,
                age,
            )
        )
    return sorted(found, key=lambda run: (not run.cell, run.cell, run.folder.name))


def _folders(root: Path) -> list[Path]:
    """The folders that are called as those of runs are; no links."""
    try:
        with os.scandir(root) as entries:
            names = [
                entry.name
                for entry in entries
                if FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [root / name for name in names]


def _files(folder: Path) -> dict[str, os.stat_result]:
    """The plain files in a folder, by name."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(state.st_mode):
                    found[entry.name] = state
    except OSError:  # whoever trains has just taken it away
        return found
    return found


def _spec_in(folder: Path) -> RunSpec | None:
    """What the folder says that it is of; None if it says nothing, or not the truth."""
    path = folder / SPEC
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
    except OSError:
        return None
    with open(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        text = stream.read(LARGEST_SPEC + 1)
    try:
        spec = RunSpec.model_validate(json.loads(text)) if len(text) <= LARGEST_SPEC else None
    except (ValidationError, ValueError, RecursionError):
        return None
    return spec if spec is not None and identity_of(spec)[:16] == folder.name else None
