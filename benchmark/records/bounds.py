"""What a value of a record may be at most: files come from others, and are read within limits."""

from __future__ import annotations

import json
import marshal
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

LARGEST_FILE = 4_000_000  # bytes; a record has 3 kB
DEEPEST = 64  # levels of brackets; a record has 4
LONGEST_NUMBER = 40  # digits of an integer; more than 4,300 are an error of Python itself
MOST_VALUES = 1_000  # of a mapping
_TOO_LONG = 10**LONGEST_NUMBER
LONGEST_NAME = 200
LONGEST_TEXT = 2_000
LARGEST_SHARED = 10_000  # bytes; an environment has 500
MOST_SHARED = 4_096  # parts that are remembered; a folder of 20,000 records has some hundreds
_PLAIN_MARSHAL = 2  # the last version without references: equal values have equal bytes
LONGEST_MESSAGE = 4_000  # of a failure; the beginning and the end are kept


def read_json(path: Path) -> Any:
    """The content of a JSON file, within the limits of size, depth and digits.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: it is larger, deeper or not JSON; the message says what it is, as ``is too
            large: …``.
    """
    if not path.is_file():  # a pipe would be waited for without end
        raise FileNotFoundError(2, "no such file", str(path))
    content = read_bytes(path)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"is too large: more than {LARGEST_FILE:,} bytes")
    try:
        values = _DECODER.decode(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"is not text: {error}") from None
    except RecursionError:
        raise ValueError(f"is nested more than {DEEPEST} levels deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not whole JSON: {error}") from None
    if content.count(b"{") + content.count(b"[") >= DEEPEST:  # else it cannot be that deep
        _check_depth(values)
    return values


def read_bytes(path: Path) -> bytes:
    """The content of a file, no further than one byte beyond the limit.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        # Room for the whole limit costs more than all the rest, of each of thousands of files.
        size = min(os.fstat(file.fileno()).st_size, LARGEST_FILE)
        content = file.read(size + 1)
        if len(content) > size:  # it grew, or its size is not told
            content += file.read(LARGEST_FILE + 1 - len(content))
    return content


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"holds a number of {len(digits)} digits")
    return int(digits)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"is not JSON: it holds {word}")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_number)


def _check_depth(values: Any) -> None:
    level = [values]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError(f"is nested more than {DEEPEST} levels deep")


def printable(text: str) -> str:
    """A text without control characters, line breaks, halves of characters and turned order.

    Raises:
        ValueError: it has one.
    """
    if not text.isprintable():
        raise ValueError(f"{text[:80]!a} has a character that cannot be shown in a line")
    return text


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as they may be: a thousand numbers and texts, nested a little."""
    waiting: list[Any] = [values]
    for value in waiting:  # which grows by the parts of what is looked at
        if isinstance(value, float):
            continue
        if isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                raise ValueError(f"a text has more than {LONGEST_TEXT} characters")
            printable(value)
        elif isinstance(value, int) and abs(value) >= _TOO_LONG:
            raise ValueError(f"a number has more than {LONGEST_NUMBER} digits")
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        if len(waiting) > MOST_VALUES:
            raise ValueError(f"there are more than {MOST_VALUES} values")
    return values


def _shortened(message: object) -> object:
    """A long message without its middle."""
    if not isinstance(message, str) or len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2 - 20
    return f"{message[:half]} … {len(message) - 2 * half:,} more … {message[-half:]}"


class Shared:
    """A validator of a part that thousands of records have word for word: one object for all.

    It is looked up by its whole content, types included, so that only what was checked already is
    not checked again. Nobody may change what is shared; records are frozen.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Any] = {}

    def __call__(self, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        """The part as it was validated when it was seen first."""
        try:
            content = marshal.dumps(value, _PLAIN_MARSHAL)
        except ValueError:  # an object of ours, or of types that no file has
            return validate(value)
        if content in self._known:
            return self._known[content]
        found = validate(value)
        if len(content) <= LARGEST_SHARED:
            if len(self._known) >= MOST_SHARED:
                self._known.clear()
            self._known[content] = found
        return found


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(printable)]
Words = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(printable)]
Message = Annotated[str, BeforeValidator(_shortened)]
Count = Annotated[int, Field(ge=0, le=10**18)]
Number = Annotated[int, Field(ge=1, le=10**18)]
Amount = Annotated[float, Field(ge=0, le=1e39)]  # a loss in float32 may end above 1e38
Seed = Annotated[int, Field(ge=0, le=10**12)]
Plain = Annotated[dict[Name, Any], AfterValidator(_plain), WrapValidator(Shared())]
Percent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SourceDigest = Annotated[str, Field(pattern=r"^([a-z0-9]{1,16}:)?[0-9a-f]{64}$")]
