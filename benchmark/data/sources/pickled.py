"""Arrays and lists out of pickles of strangers, without unpickling them.

A pickle is a program: it may name any function, and numpy's own part of it lets the file say at
which address its numbers lie (``dtype('O8')``). Here the opcodes are looked through first, and the
few that build numbers, texts, lists, dictionaries and arrays of plain numbers are let run, with
stand-ins for what numpy and Python 2 call in them.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN = {
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET",
    "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG",
    "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "EMPTY_LIST", "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "POP",
}  # fmt: skip
_KINDS = {f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)} | {"b1"} - {"f1"}


class NotPlain(Exception):
    """A pickle asks for something else than numbers, texts, lists, dictionaries and arrays."""


def plain_values(content: bytes) -> Any:
    """What a pickle of plain values holds; arrays of numbers are numpy's.

    Args:
        content: of the file. Python 2's strings come back as text, byte by byte (latin1).

    Raises:
        NotPlain: it holds anything else, or is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of texts with wrong escapes
            _look_through(content)
            return _with_arrays(_Unpickler(io.BytesIO(content), encoding="latin1").load())
    except NotPlain:
        raise
    except Exception as error:  # a broken pickle can fail in any way
        raise NotPlain(f"{type(error).__name__}: {error}") from None


def _look_through(content: bytes) -> None:
    """Refuse opcodes that are not needed, and places in the memo that would fill the memory."""
    places = 0
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _PLAIN:
                raise NotPlain(f"it holds the opcode {opcode.name}")
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                places += 1
                if argument is None or int(argument) > 2 * places + 256:
                    raise NotPlain("it counts its parts wrongly")
    except ValueError as error:  # what pickletools raises of damaged files
        raise NotPlain(str(error)) from None


class _Unpickler(pickle.Unpickler):
    """Runs the opcodes that were looked through, with stand-ins for what they name."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name, made anew each time; anything unknown is refused."""
        match module, name:
            case ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct"):
                return lambda *_: _Array()
            case ("numpy", "ndarray"):
                return None  # it is only handed to the one above
            case ("numpy", "dtype"):
                return lambda kind, *_: _Kind(kind)
            case ("_codecs", "encode"):
                return lambda *given: _encoded(*given)
            case ("__builtin__" | "builtins", "bytes"):
                return lambda: b""  # so Python 3 writes it for Python 2
        raise NotPlain(f"it asks for {module}.{name}")


class _Kind:
    """A kind of number, in place of numpy's dtype."""

    __slots__ = ("_kind", "_order")

    def __init__(self, kind: object) -> None:
        if kind not in _KINDS:
            raise NotPlain(f"it holds an array of '{kind}'")
        self._kind, self._order = str(kind), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Version, byte order, and what only other kinds have."""
        _, order, fields, *_ = state
        if order not in ("<", ">", "|", "=") or fields is not None:
            raise NotPlain("it holds an array of something else than numbers")
        self._order = order

    def read(self, content: bytes) -> NDArray[Any]:
        """The numbers in some bytes."""
        return np.frombuffer(content, np.dtype(self._order + self._kind))


class _Array:
    """An array that is being read, in place of numpy's."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Version, shape, kind, whether columns come first, and the bytes."""
        _, shape, kind, by_columns, content = state
        if isinstance(content, str):
            content = content.encode("latin1")
        if not isinstance(kind, _Kind) or not isinstance(content, bytes):
            raise NotPlain("it holds an array of something else than numbers")
        if not all(isinstance(length, int) and length >= 0 for length in shape):
            raise NotPlain("it holds an array without a shape")
        values = kind.read(content)
        if math.prod(shape) != len(values):
            raise NotPlain(f"it holds {len(values):,} numbers for an array of {shape}")
        self.values = values.reshape(shape, order="F" if by_columns else "C")


def _encoded(text: object, encoding: object = "latin1") -> bytes:
    """What Python 3 writes for bytes in the oldest protocols."""
    if not isinstance(text, str) or encoding != "latin1":
        raise NotPlain("it encodes something else than bytes")
    return text.encode("latin1")


def _with_arrays(value: Any) -> Any:
    """The value, or the dictionary's values, with arrays in the place of their stand-ins."""
    if isinstance(value, dict):
        return {key: _with_arrays(inner) for key, inner in value.items() if isinstance(key, str)}
    return value.values if isinstance(value, _Array) else value
