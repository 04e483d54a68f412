"""The store of records: a folder of JSON files that git can merge.

One run, one file, at a place that follows from what was asked for. A file is written whole or not
at all, and is refused when it was changed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.errors import RecordError, suggestion
from benchmark.files import probe, write_whole
from benchmark.records.canonical import canonical_json, digest, identity_of
from benchmark.records.schema import SCHEMA_VERSION, Record, RunSpec
from benchmark.strict import faults

MEASURED = ("metrics", "diagnostics", "cost")
LONGEST_SUFFIX = 80
_REMEDY = "Restore it (git checkout -- FILE) or delete it and run 'kdbench run' again."


@dataclass(frozen=True)
class Unreadable:
    """A file among the records that cannot be read or trusted, and why."""

    path: Path
    message: str


@dataclass(frozen=True)
class Contents:
    """All that a store holds, in the order of the paths."""

    records: tuple[Record, ...]
    problems: tuple[Unreadable, ...]


class Store:
    """The records below one folder.

    Args:
        root: usually ``results/``; need not exist before the first record is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path_of(self, spec: RunSpec) -> Path:
        """Where the record of a run is: ``DATASET/TEACHER__STUDENT/RECIPE/seedK.json``.

        Runs without roles are in ``DATASET/NETWORK/RECIPE``. Settings that are not the defaults, a
        protocol that is not the default and a variant are added to the recipe's folder. Versions
        of recipe and data are not in the path: a new result takes the place of the stale one.
        """
        return self.root.joinpath(
            _spelled(spec.dataset), _networks(spec), _recipe(spec), f"seed{spec.seed}.json"
        )

    def history_path(self, spec: RunSpec) -> Path:
        """Where the per-epoch history of a run is, beside its record."""
        return self.path_of(spec).with_suffix(".csv")

    def read(self, path: Path) -> Record:
        """Read one record and check that it is what was written.

        Raises:
            RecordError: no such file, not JSON or cut short, another schema version, an unknown or
                missing key, or changed since it was written; names the file and what to do.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecordError(f"there is no record {path}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"cannot read the record {path}: {error}") from None
        except json.JSONDecodeError as error:
            raise _refusal(path, f"is not whole JSON: {error}") from None
        if not isinstance(values, dict):
            raise _refusal(path, "is not a record")
        if values.get("schema_version") != SCHEMA_VERSION:
            raise RecordError(
                f"the record {path} has schema version {values.get('schema_version')!r}; this "
                f"version of kdbench reads {SCHEMA_VERSION}. Use the version of kdbench that wrote "
                f"it (environment.packages says which), or delete it and run again."
            )
        try:
            record = Record.model_validate(values)
        except ValidationError as error:
            raise _refusal(path, f"does not fit the schema: {'; '.join(faults(error))}") from None
        if record.identity != identity_of(record.spec):
            raise _refusal(path, "has a 'spec' that was changed after the run")
        # Over the text of the file rather than the model, so that no default stands in for a key.
        if values.get("checksum") != _checksum(values):
            raise _refusal(path, "was changed after the run: its checksum does not fit")
        return record

    def find(self, spec: RunSpec) -> Record | None:
        """The record of exactly this run, or None if there is none or only a stale one.

        Raises:
            RecordError: there is one that cannot be read or trusted.
        """
        path = self.path_of(spec)
        if not path.exists():
            return None
        record = self.read(path)
        return record if record.identity == identity_of(spec) else None

    def lookup(self, cell: str) -> Record:
        """The record that a person means.

        Args:
            cell: ``cifar100/resnet20__resnet8/kd/seed0`` below the root, or a path of a file.

        Raises:
            RecordError: there is no such record, or it cannot be read or trusted.
        """
        # Added rather than put in place of a suffix: folder names may hold dots.
        for path in (Path(cell), self.root / cell, self.root / f"{cell}.json"):
            if path.is_file():
                return self.read(path)
        known = {self._cell(path): path for path in self._files()}
        raise RecordError(
            f"there is no record '{cell}' in {self.root}.{suggestion(cell, known)}\n"
            f"Write DATASET/TEACHER__STUDENT/RECIPE/seedK, as the folders there are called."
        )

    def all(self) -> Contents:
        """Every record below the root; those that cannot be read or trusted are told apart."""
        records: list[Record] = []
        problems: list[Unreadable] = []
        for path in self._files():
            try:
                record = self.read(path)
                if path != (place := self.path_of(record.spec)):
                    raise RecordError(f"the record {path} was moved; its place is {place}.")
            except RecordError as error:
                problems.append(Unreadable(path, str(error)))
            else:
                records.append(record)
        return Contents(tuple(records), tuple(problems))

    def write(self, record: Record, history_csv: str | None = None) -> Record:
        """Write a record and its history, whole or not at all.

        Measured numbers are rounded to six significant digits. A record that is not ``ok`` never
        takes the place of an ``ok`` one of the same identity.

        Args:
            record: its identity must be that of its spec.
            history_csv: text of the per-epoch history; None removes what an earlier run left.

        Returns:
            The record that the store now holds.

        Raises:
            RecordError: the identity is wrong, or the folder cannot be written.
        """
        if record.identity != identity_of(record.spec):
            raise RecordError(
                "a record's identity must be that of its spec; use identity_of(spec)."
            )
        values = record.model_dump(mode="json", exclude={"checksum"})
        for part in MEASURED:
            values[part] = _rounded(values[part])
        values["checksum"] = _checksum(values)
        path, history = self.path_of(record.spec), self.history_path(record.spec)
        if record.status != "ok" and (kept := self._done(path, record.identity)):
            return kept
        text = json.dumps(values, indent=2, sort_keys=True, allow_nan=False)
        try:
            # The history goes first: where there is a record, its history is there as well.
            if history_csv is None:
                history.unlink(missing_ok=True)
            else:
                write_whole(history, history_csv, durable=True)
            write_whole(path, text + "\n", durable=True)
        except OSError as error:
            raise RecordError(
                f"cannot write the record {path}: {error.strerror or error}. "
                f"Choose another folder with --results."
            ) from error
        return Record.model_validate(values)

    def check_writable(self) -> None:
        """Refuse before any training what would be refused after it.

        Raises:
            RecordError: the folder cannot be made or written.
        """
        try:
            probe(self.root)
        except OSError as error:
            raise RecordError(
                f"cannot write to the results folder {self.root}: {error.strerror or error}. "
                f"Choose another one with --results."
            ) from None

    def _files(self) -> Iterator[Path]:
        for path in sorted(self.root.rglob("*.json")):
            # Editors and notebooks keep copies in hidden folders.
            hidden = any(part.startswith(".") for part in path.relative_to(self.root).parts)
            if path.is_file() and not hidden:
                yield path

    def _cell(self, path: Path) -> str:
        return path.relative_to(self.root).with_suffix("").as_posix()

    def _done(self, path: Path, identity: str) -> Record | None:
        try:
            record = self.read(path)
        except RecordError:
            return None
        return record if record.status == "ok" and record.identity == identity else None


def _networks(spec: RunSpec) -> str:
    if not spec.roles:
        return _spelled(spec.network)
    role = "teacher" if "teacher" in spec.roles else min(spec.roles)
    return f"{_spelled(spec.roles[role].network)}__{_spelled(spec.network)}"


def _recipe(spec: RunSpec) -> str:
    folder = _spelled(spec.recipe) + _settings(spec.changed)
    if not spec.default_protocol:
        folder += "+" + _protocol(spec.protocol)
    if spec.variant:
        folder += "~" + digest(spec.variant)[:8]
    return folder


def _spelled(name: str) -> str:
    """A name for a folder. Injective: what is not plain gets a digest behind a ``~``."""
    base = name.removeprefix("timm/")
    # No double underscore, which stands between teacher and student.
    plain = re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?!_|$))*", base)
    if plain and not base.startswith("timm-"):
        return name.replace("/", "-")
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:40].strip(".-") + "~" + digest(name)[:8]


def _settings(changed: Mapping[str, Any]) -> str:
    """``,key=value,key=value`` or, if that is not safe or too long, a comma and a digest."""
    if not changed:
        return ""
    parts = [f"{key}={_value(changed[key])}" for key in sorted(changed)]
    text = "".join(f",{part}" for part in parts)
    # Lower case only: some file systems do not tell Alpha from alpha.
    safe = all(re.fullmatch(r"[a-z0-9_]+=[a-z0-9._-]+", part) for part in parts)
    return text if safe and len(text) <= LONGEST_SUFFIX else "," + digest(dict(changed))[:12]


def _value(value: Any) -> str:
    """Text as it is, unless it could be taken for a number; else canonical JSON."""
    text = canonical_json(value)
    if not isinstance(value, str):
        return text
    try:
        json.loads(value)
    except json.JSONDecodeError:
        return value
    return text


def _protocol(name: str) -> str:
    plain = re.fullmatch(r"([a-z0-9_-]+)(?:\[([a-z0-9_]+=[a-z0-9._,=-]+)\])?", name)
    if plain is None or len(name) > LONGEST_SUFFIX:
        return _spelled(name.partition("[")[0]) + "," + digest(name)[:12]
    return plain[1] + (f",{plain[2]}" if plain[2] else "")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def _checksum(values: Mapping[str, Any]) -> str:
    return digest({key: value for key, value in values.items() if key != "checksum"})


def _refusal(path: Path, fault: str) -> RecordError:
    return RecordError(f"the record {path} {fault}.\n{_REMEDY.replace('FILE', str(path))}")
