"""The store of records: a folder of JSON files that git can merge.

One run, one file, at a place that follows from what was asked for. A file is written whole or not
at all, and is refused when it was changed by hand, or when it says what cannot be. What cannot be
trusted is named, stops nothing, and is never overwritten.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.errors import RecordError, suggestion
from benchmark.files import probe, write_whole
from benchmark.memory import collecting_later
from benchmark.records.attestations import Attestation, Attested
from benchmark.records.canonical import identity_of
from benchmark.records.history import HistoryFault
from benchmark.records.parts import in_parts
from benchmark.records.places import ATTESTED, other_roots, place_of, record_files
from benchmark.records.reading import read_attestation, read_record, sealed
from benchmark.records.schema import Record, RunSpec
from benchmark.records.writing import check_inside, put, set_aside

MEASURED = ("metrics", "diagnostics", "cost")


@dataclass(frozen=True)
class Unreadable:
    """A file among the records that cannot be read or trusted, and why."""

    path: Path
    message: str


@dataclass(frozen=True)
class Contents:
    """All that a store holds, in the order of the paths.

    Attributes:
        records: those that can be trusted.
        problems: files that are no record to be trusted.
        beside: files beside the records that cannot be trusted, histories and attestations; no
            number depends on them.
        attested: what is attested of the sources of recipes.
    """

    records: tuple[Record, ...]
    problems: tuple[Unreadable, ...]
    beside: tuple[Unreadable, ...] = ()
    attested: Attested = field(default_factory=Attested)


class Store:
    """The records below one folder.

    Args:
        root: usually ``results/``; need not exist before the first record is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path_of(self, spec: RunSpec) -> Path:
        """Where the record of a run is; see ``benchmark.records.places.place_of``."""
        return self.root / place_of(spec)

    def history_path(self, spec: RunSpec) -> Path:
        """Where the per-epoch history of a run is, beside its record."""
        return self.path_of(spec).with_suffix(".csv")

    def read(self, path: Path) -> Record:
        """Read one record and check that it is what was written.

        Raises:
            RecordError: no such file, too large, not JSON or cut short, another schema version, an
                unknown or missing key, a value that cannot be, changed since it was written, or
                another last epoch than its history has; names the file and what to do.
        """
        return read_record(path)[0]

    def look(self, spec: RunSpec) -> Record | Unreadable | None:
        """What is at the place of a run.

        Returns:
            The record, which may be a stale one of another identity; what is wrong if it cannot be
            read or trusted, or was moved there; None if there is nothing.
        """
        path = self.path_of(spec)
        if not os.path.exists(path):
            return None
        try:
            return self.in_place(path)[0]
        except RecordError as error:
            return Unreadable(path, str(error))

    def find(self, spec: RunSpec) -> Record | None:
        """The record of exactly this run.

        Returns:
            None if there is none, only a stale one, or one that cannot be trusted (``look`` tells).
        """
        found = self.look(spec)
        return found if isinstance(found, Record) and found.identity == identity_of(spec) else None

    def lookup(self, cell: str) -> Record:
        """The record that a person means.

        Args:
            cell: ``sketchbirds/resnet14__resnet8/kd/seed0`` below the root, or a path of a file.

        Raises:
            RecordError: there is no such record, or it cannot be read or trusted.
        """
        # Added rather than put in place of a suffix: folder names may hold dots.
        for path in (cell, self.root / cell, self.root / f"{cell}.json"):
            if os.path.isfile(path):
                return self.read(Path(path))
        known = {self._cell(path) for path in record_files(self.root)}
        others = [root for root in other_roots(self.root) if os.path.isfile(root / f"{cell}.json")]
        raise RecordError(
            f"there is no record '{cell}' in {self.root}.{suggestion(cell, known)}\n"
            f"Write DATASET/TEACHER__STUDENT/RECIPE/seedK, as the folders there are called."
            + "".join(f"\nThere is one in {root}: add --results {root}." for root in others)
        )

    def all(self) -> Contents:
        """Every record below the root; what cannot be read or trusted is told apart."""
        with collecting_later():
            parts = in_parts(partial(_read_all, self), record_files(self.root))
        attested, refused = self.attested()
        beside = [one for part in parts for one in part.beside]
        return Contents(
            tuple(record for part in parts for record in part.records),
            tuple(problem for part in parts for problem in part.problems),
            (*beside, *refused),
            attested,
        )

    def attested(self) -> tuple[Attested, tuple[Unreadable, ...]]:
        """The attestations, and files that are none to be trusted."""
        found: list[Attestation] = []
        refused: list[Unreadable] = []
        for path in sorted(self.root.glob(f"{ATTESTED}/*/*.json")):
            try:
                found.append(read_attestation(path, self.root))
            except RecordError as error:
                refused.append(Unreadable(path, str(error)))
        return Attested(tuple(found)), tuple(refused)

    def write(
        self, record: Record, history_csv: str | None = None, *, again: str | None = None
    ) -> Record:
        """Write a record and its history, whole or not at all.

        Measured numbers are rounded to six significant digits. The first ``ok`` record of an
        identity stays, whoever else has trained the same run. What cannot be trusted at this place
        is moved aside, to ``seed0.json.damaged``.

        Args:
            record: its identity must be that of its spec.
            history_csv: text of the per-epoch history; None removes what an earlier run left.
            again: checksum of an ``ok`` record whose run was trained again on purpose: this one
                takes its place, unless it is not ``ok`` itself.

        Returns:
            The record that the store now holds.

        Raises:
            RecordError: the identity is wrong, or the folder cannot be written.
        """
        if record.identity != identity_of(record.spec):
            raise RecordError(
                "a record's identity must be that of its spec; use identity_of(spec)."
            )
        path, history = self.path_of(record.spec), self.history_path(record.spec)
        known = self.look(record.spec)
        if isinstance(known, Record) and _stays(known, record, again=again):
            return known
        values = record.model_dump(mode="json", exclude={"checksum"})
        for part in MEASURED:
            values[part] = _rounded(values[part])
        if history_csv is not None:
            values["history"] = hashlib.sha256(history_csv.encode()).hexdigest()
        text = sealed(values)
        check_inside(path.parent, self.root)
        try:
            if isinstance(known, Unreadable):
                set_aside(path)
            put(path, text, history, history_csv)
        except OSError as error:
            raise RecordError(
                f"cannot write the record {path}: {error.strerror or error}. "
                f"Choose another folder with --results."
            ) from error
        return Record.model_validate(values)

    def attest(self, attestation: Attestation) -> Path:
        """Write an attestation; returns its path.

        Raises:
            RecordError: the folder cannot be written.
        """
        path = self.root / attestation.place
        check_inside(path.parent, self.root)
        text = sealed(attestation.model_dump(mode="json", exclude={"checksum"}))
        try:
            write_whole(path, text, durable=True)
        except OSError as error:
            raise RecordError(f"cannot write {path}: {error.strerror or error}.") from error
        return path

    def check_writable(self, specs: Iterable[RunSpec] = ()) -> None:
        """Refuse before any training what would be refused after it.

        Args:
            specs: of runs that will be recorded.

        Raises:
            RecordError: the folder cannot be made or written, or a record would lie outside.
        """
        try:
            probe(self.root)
        except OSError as error:
            raise RecordError(
                f"cannot write to the results folder {self.root}: {error.strerror or error}. "
                f"Choose another one with --results."
            ) from None
        for folder in {self.path_of(spec).parent for spec in specs}:
            check_inside(folder, self.root)

    def in_place(self, path: Path) -> tuple[Record, HistoryFault | None]:
        """A record that lies in its place: a copy elsewhere would count a run twice."""
        record, fault = read_record(path)
        if path != (place := self.path_of(record.spec)):
            raise RecordError(f"the record {path} was moved; its place is {place}.")
        return record, fault

    def _cell(self, path: Path) -> str:
        return path.relative_to(self.root).with_suffix("").as_posix()


def _read_all(store: Store, files: Sequence[Path]) -> Contents:
    """What some files of records hold."""
    records: list[Record] = []
    problems: list[Unreadable] = []
    beside: list[Unreadable] = []
    for path in files:
        try:
            record, fault = store.in_place(path)
        except RecordError as error:
            problems.append(Unreadable(path, str(error)))
            continue
        records.append(record)
        if fault:
            beside.append(Unreadable(path.with_suffix(".csv"), fault.message))
    return Contents(tuple(records), tuple(problems), tuple(beside))


def _stays(known: Record, record: Record, *, again: str | None) -> bool:
    """Whether what is recorded stays although the run was trained again."""
    if known.status != "ok" or known.identity != record.identity:
        return False
    # One that somebody else recorded in the meantime is not what was to be replaced.
    return record.status != "ok" or known.checksum is None or known.checksum != again


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
