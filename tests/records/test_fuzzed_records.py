"""Whatever a file among the records holds, it is a record or refused by name.

The long form: ``KDBENCH_TORTURE_EXAMPLES=10000 pytest tests/records/test_fuzzed_records.py``.
"""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.errors import RecordError
from benchmark.records.canonical import digest, identity_of
from benchmark.records.history import read_history
from benchmark.records.schema import Record, RunSpec
from benchmark.records.store import Store
from tests.support.fuzzing import examples

EXAMPLES = examples(100)
SLOWLY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RESULTS = Path(__file__).resolve().parents[2] / "results"
FILES = sorted(RESULTS.glob("sketchbirds/resnet14__resnet8/*/seed0.json"))
ODD = st.sampled_from(
    [None, True, 0, -1, 1e308, 10**400, 10**18 + 1, "", "x" * 3000, "\x1b[31m", "\u202e", "\ud800",
     "../../x", "a/b", "a\0b", "NaN", [], {}, [[[]]], {"a": {"b": []}}, "__proto__", float("inf"),
     float("nan")]
)  # fmt: skip
JSON = st.recursive(
    ODD | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in inner:
        found.append((*above, key))
        if isinstance(item, dict | list):
            found += places(item, (*above, key))
    return found


def changed(values: Any, place: tuple[Any, ...], new: Any, *, gone: bool) -> Any:
    values = copy.deepcopy(values)
    inside = values
    for key in place[:-1]:
        inside = inside[key]
    if gone:
        del inside[place[-1]]
    else:
        inside[place[-1]] = new
    return values


def sealed(values: Any) -> str:
    """As one who knows how identity and checksum are made."""
    with contextlib.suppress(ValidationError, KeyError, TypeError, RecordError):
        values["identity"] = identity_of(RunSpec.model_validate(values["spec"]))
    with contextlib.suppress(RecordError, RecursionError, ValueError, OverflowError):
        values["checksum"] = digest({k: v for k, v in values.items() if k != "checksum"})
    return json.dumps(values)


def look_at(store: Store, path: Path) -> None:
    """Every way in which a file is read ends with a record or with its name."""
    contents = store.all()
    assert len(contents.records) + len(contents.problems) == 1
    for problem in contents.problems:
        assert str(path) in problem.message
        assert len(problem.message) < 5000
    for record in contents.records:
        found = store.look(record.spec)
        assert isinstance(found, Record)
        assert store.path_of(record.spec).resolve().is_relative_to(store.root.resolve())
        assert record.metrics is None or record.metrics.top1 <= record.metrics.top5


@pytest.mark.parametrize("with_checksum", [True, False])
@SLOWLY
@given(data=st.data())
def test_a_mutated_record_is_a_record_or_refused(
    tmp_path: Path, data: st.DataObject, with_checksum: bool
) -> None:
    file = data.draw(st.sampled_from(FILES))
    values = json.loads(file.read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(values)))
        values = changed(values, place, data.draw(JSON), gone=data.draw(st.booleans()))
    path = tmp_path / "results" / file.relative_to(RESULTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parents[3].rglob("*.json"):
        old.unlink()
    path.write_text(sealed(values) if with_checksum else json.dumps(values))
    look_at(Store(tmp_path / "results"), path)


@SLOWLY
@given(data=st.data())
def test_a_flipped_or_cut_file_is_never_another_number(tmp_path: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(FILES))
    good, content = Store(RESULTS).read(file), bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[at:]
    path = tmp_path / "results" / file.relative_to(RESULTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parents[3].rglob("*.json"):
        old.unlink()
    path.write_bytes(content)
    look_at(Store(tmp_path / "results"), path)
    for record in Store(tmp_path / "results").all().records:
        assert record.metrics == good.metrics, "white space, and nothing else, may change"


@SLOWLY
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
def test_a_history_is_one_or_refused(content: bytes) -> None:
    try:
        rows = read_history(content.decode("utf-8", "replace"))
    except RecordError:
        return
    assert all(row.epoch >= 1 for row in rows)
