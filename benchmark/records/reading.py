"""Reading one file of a results folder: within limits, and only what was written.

Whatever a file holds, it becomes a value of ours or a ``RecordError`` that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from benchmark.errors import RecordError
from benchmark.records.attestations import Attestation, contradiction
from benchmark.records.bounds import read_json
from benchmark.records.canonical import digest, identity_of
from benchmark.records.history import HistoryFault, fault_of
from benchmark.records.schema import SCHEMA_VERSION, Record
from benchmark.strict import Strict, faults

MOST_FAULTS = 20  # that one message tells
_RESTORE = "Restore it (git checkout -- FILE) or delete it and run 'kdbench run' again."
_AGAIN = {
    "attestation": "Delete it and run 'kdbench verify' again.",
    "speed file": "Delete it and run 'kdbench speed --save' again.",
}
M = TypeVar("M", bound=Strict)


def read_record(path: Path) -> tuple[Record, HistoryFault | None]:
    """A record, and what is wrong with the history beside it.

    Raises:
        RecordError: see ``Store.read``.
    """
    values = _values(path, "record")
    if values.get("schema_version") != SCHEMA_VERSION:
        raise RecordError(
            f"the record {path} has schema version {values.get('schema_version')!r:.40}; this "
            f"version of kdbench reads {SCHEMA_VERSION}. Use the version of kdbench that wrote "
            f"it (environment.packages says which), or delete it and run again."
        )
    record = _checked(Record, values, path, "record")
    if record.identity != identity_of(record.spec):
        raise refusal(path, "has a 'spec' that was changed after the run")
    # Over the text of the file rather than the model, so that no default stands in for a key.
    if values.get("checksum") != _checksum(values):
        raise refusal(path, "was changed after the run: its checksum does not fit")
    fault = fault_of(path.with_suffix(".csv"), record)
    if fault is not None and fault.contradicts:
        raise refusal(path, fault.message)
    return record, fault


def read_attestation(path: Path, root: Path) -> Attestation:
    """An attestation.

    Args:
        path: of its file.
        root: folder of the results, with the record that it speaks of.

    Raises:
        RecordError: it cannot be read, is not what was written or not in its place, or says
            something else of the record than the record itself.
    """
    found = read_sealed(Attestation, path, "attestation")
    if path != root / found.place:
        raise refusal(path, f"was moved; its place is {found.place}", "attestation")
    try:
        record, _ = read_record(root / f"{found.cell}.json")
    except RecordError:
        return found  # of a record that is not here, or cannot be trusted itself
    if said := contradiction(found, record):
        raise refusal(path, f"contradicts its record: {said}", "attestation")
    return found


def read_sealed(model: type[M], path: Path, kind: str) -> M:
    """A file with a checksum, of which nothing was changed since it was written.

    Args:
        model: what it holds.
        path: of it.
        kind: of file, for the message.

    Raises:
        RecordError: it cannot be read, or is not what was written.
    """
    values = _values(path, kind)
    found = _checked(model, values, path, kind)
    if values.get("checksum") != _checksum(values):
        raise refusal(path, "was changed: its checksum does not fit", kind)
    return found


def sealed(values: dict[str, Any]) -> str:
    """The text of a file with its checksum, which is put into the values too."""
    values["checksum"] = _checksum(values)
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def refusal(path: Path, fault: str, kind: str = "record") -> RecordError:
    """A file that cannot be trusted, and what to do about it."""
    remedy = _AGAIN.get(kind) or _RESTORE.replace("FILE", str(path))
    return RecordError(f"the {kind} {path} {fault}.\n{remedy}")


def _values(path: Path, kind: str) -> dict[str, Any]:
    try:
        values = read_json(path)
    except FileNotFoundError:
        raise RecordError(f"there is no {kind} {path}.") from None
    except OSError as error:
        raise RecordError(f"cannot read the {kind} {path}: {error}") from None
    except ValueError as error:
        raise refusal(path, str(error), kind) from None
    if not isinstance(values, dict):
        raise refusal(path, f"is not a {kind}" if kind == "record" else "is none", kind)
    return values


def _checked(model: type[M], values: dict[str, Any], path: Path, kind: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        told = "; ".join(faults(error)[:MOST_FAULTS])
        raise refusal(path, f"does not fit the schema: {told:.2000}", kind) from None


def _checksum(values: Mapping[str, Any]) -> str:
    return digest({key: value for key, value in values.items() if key != "checksum"})
