"""Plain values out of pickles: what numpy and Python 2 wrote is read, and nothing else ever is."""

from __future__ import annotations

import contextlib
import pickle
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark.data.sources.pickled import NotPlain, plain_values
from tests.support.fuzzing import fuzzed

ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
KIND = (
    b"cnumpy\ndtype\nU\x02%sK\x00K\x01\x87R(K\x03U\x01%sNNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
)


def of_python_2(kind: bytes, shape: int, content: bytes, order: bytes = b"|") -> bytes:
    """An array of one dimension as Python 2 pickled it."""
    state = b"(K\x01K" + bytes([shape]) + b"\x85" + KIND % (kind, order) + b"\x89U"
    return b"\x80\x02" + ARRAY + state + bytes([len(content)]) + content + b"tb."


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.array([0.5, -1]),
        np.array([True, False]),
        np.zeros((0, 3), np.int64),
    ],
)
def test_arrays_are_read_as_they_were(protocol: int, array: np.ndarray[Any, Any]) -> None:
    content = pickle.dumps({"data": array, "labels": [1, 2], "x": b"\xff", "n": None}, protocol)
    values = plain_values(content)
    np.testing.assert_array_equal(values["data"], array)
    assert values["data"].dtype == array.dtype
    assert values["labels"] == [1, 2]
    assert values["x"] == b"\xff"


def test_what_python_2_wrote_is_read() -> None:
    assert plain_values(of_python_2(b"u1", 3, b"\x01\x80\xff")).tolist() == [1, 128, 255]


class Calls:
    """Calls any function when it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize(
    "content",
    [
        of_python_2(b"O8", 1, b"\x00" * 8),  # numbers that are addresses of objects
        of_python_2(b"O8", 1, b"AAAABBBB"),
        of_python_2(b"V8", 1, b"\x00" * 8),
        of_python_2(b"u1", 9, b"\x00"),
        of_python_2(b"u8", 1, b"\x00" * 8, b"x"),
        pickle.dumps(np.array([{}, []], dtype=object)),
        pickle.dumps(np.zeros(2, dtype=[("a", "u1"), ("b", "O")])),
        pickle.dumps(np.array(["text"])),
        pickle.dumps(Calls(print, "executed")),
        pickle.dumps(Calls(np.dtype, "O")),
        b"\x80\x02cnumpy\ndtype\nU\x02u1\x85RcNumpy\nload\n\x81.",
        b"\x80\x02]q\x00h\x01.",
        b"\x80\x02]r\xff\xff\xff\x7f.",  # a place in the memo that would take gigabytes
        b"p99999999999999999999\n.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"I" + b"9" * 5000 + b"\n.",
        b"\x82\x01.",
        b"c_codecs\nencode\n(Va\nVpunycode\ntR.",
        b"",
        b"\x80\x02}",
    ],
)  # fmt: skip
def test_everything_else_is_refused(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotPlain):
        plain_values(content)
    assert not capsys.readouterr().out


def test_one_file_changes_nothing_for_the_next() -> None:
    harm = b"\x80\x02c_codecs\nencode\nN}U\x0c__defaults__U\x01x\x85s\x86b."
    plain_values(harm)  # settings of a stand-in that lives as long as the file
    assert plain_values(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00a\x85R.") == b"a"


def test_a_value_that_holds_itself_is_refused() -> None:
    with pytest.raises(NotPlain):
        plain_values(b"}p0\nVa\ng0\ns.")


@fuzzed
@given(
    start=st.sampled_from([b"", of_python_2(b"u1", 3, b"abc"), pickle.dumps({"a": [1, b"x"]})]),
    changes=st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=12)), max_size=6),
)
@example(start=b"S'a\\u'\n.", changes=[])
def test_any_bytes_are_read_or_refused(start: bytes, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(start)
    for place, other in changes:
        content[place : place + len(other)] = other
    before = set(sys.modules)
    with contextlib.suppress(NotPlain):
        plain_values(bytes(content))
    new = set(sys.modules) - before
    assert all(name.startswith("encodings.") for name in new)  # Python's own, of its texts
