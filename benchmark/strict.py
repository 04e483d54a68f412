"""Files that people read and write: read within limits, their models, and what is wrong with one.

Whoever sends a card or a record chooses its every byte. A file is therefore read up to a size, and
what it holds is nested no deeper and has no longer numbers than anybody needs; beyond them Python's
own readers end in errors of many kinds, or in none for a long time.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from benchmark.errors import BenchmarkError, printable, suggestion

MOST_BYTES = 1 << 20  # of a card or a suite; the longest of ours has 4 kB
_MOST_LEVELS = 32  # our own files nest six deep
_MOST_BITS = 64  # of a whole number
_MOST_FAULTS = 20  # that one message tells
_MOST_SAID = 1000  # signs of one of them


def read_text(path: Path, *, most_bytes: int = MOST_BYTES) -> str:
    """A text file in UTF-8, read no further than its limit.

    Raises:
        OSError: it cannot be read, or is no regular file: a pipe would be waited for, a device
            never end.
        ValueError: it is larger, or no text.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes:,} bytes")
    return content.decode("utf-8-sig")


def read_toml(
    path: Path, what: str, *, error: type[BenchmarkError], most_bytes: int = MOST_BYTES
) -> dict[str, Any]:
    """A TOML file within limits of size, depth and length of numbers.

    Args:
        path: of the file.
        what: it is, for the message, e.g. ``card``.
        error: the kind of error that is raised.
        most_bytes: that the file may have.

    Raises:
        BenchmarkError: of the given kind: unreadable, no TOML, or beyond a limit; names the file.
    """
    values: dict[str, Any] = _read(path, what, tomllib.loads, error, most_bytes)
    return values


def read_json(
    path: Path, what: str, *, error: type[BenchmarkError], most_bytes: int = MOST_BYTES
) -> Any:
    """A JSON file within the same limits; see ``read_toml``."""
    return _read(path, what, json.loads, error, most_bytes)


def _read(
    path: Path,
    what: str,
    parse: Callable[[str], Any],
    error: type[BenchmarkError],
    most_bytes: int,
) -> Any:
    try:
        values = parse(read_text(path, most_bytes=most_bytes))
        check_limits(values)
    except RecursionError:
        reason = f"it nests more than {_MOST_LEVELS} levels deep"
    except (OSError, ValueError) as fault:
        reason = str(fault)
    else:
        return values
    raise error(f"cannot read the {what} {printable(str(path))}: {printable(reason)}")


def check_limits(values: Any) -> None:
    """Refuse what is nested deeper, or has longer whole numbers, than any file of ours needs.

    Raises:
        ValueError: it is or has.
    """
    level = [values]
    for _ in range(_MOST_LEVELS):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                deeper.extend(value.values())
            elif isinstance(value, list):
                deeper.extend(value)
            elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise ValueError(f"it holds a whole number of more than {_MOST_BITS} bits")
        if not deeper:
            return
        level = deeper
    raise ValueError(f"it nests more than {_MOST_LEVELS} levels deep")


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters and line breaks are not allowed")
    return text


Line = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]
"""A text of one line, as a person writes it; not trusted in any markup."""


class Later:
    """Marks a setting that came when there were records already.

    ``standardise: Annotated[bool, Later] = False``. At its default, which must do what was done
    before, it is left out of a run's identity, and the records of then stay valid.
    """


def has_mark(field: FieldInfo, mark: type) -> bool:
    """Whether a field is ``Annotated`` with a mark: the class itself or an instance of it."""
    return any(entry is mark or isinstance(entry, mark) for entry in field.metadata)


class Strict(BaseModel):
    """Unknown keys are errors, values do not change, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        # Not cls.model_fields, which costs more than all else here: a record asks seven times.
        if isinstance(values, dict) and not values.keys() <= cls.__pydantic_fields__.keys():
            fields = cls.model_fields
            written = str(next(key for key in values if key not in fields))[:80]
            near = suggestion(written, fields)
            known = f" Known: {', '.join(fields)}."
            raise ValueError(f"unknown key '{written}'.{near or known}")
        return values


def faults(error: ValidationError) -> list[str]:
    """What is wrong, an entry a fault: ``protocols › scratch › epochs: Input should be …``."""
    # Some of pydantic's messages repeat what was written, however long it is.
    return [printable(_fault(item))[:_MOST_SAID] for item in error.errors()[:_MOST_FAULTS]]


def _fault(item: ErrorDetails) -> str:
    place = " › ".join(str(part) for part in item["loc"] if part != "[key]")
    said = str(item["ctx"]["error"]) if item["type"] == "value_error" else item["msg"]
    return f"{place}: {said}" if place else said
