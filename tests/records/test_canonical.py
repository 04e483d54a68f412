from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import RecordError
from benchmark.records.canonical import canonical_json, digest, equal, in_words

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [(4, 4.0), (0.1, float("0.10")), (0.0, -0.0), (1e22, 10**22), ((1, 2), [1, 2.0])],
)
def test_equal_values_have_one_text(one, other):
    assert canonical_json(one) == canonical_json(other)
    assert digest({"a": one}) == digest({"a": other})


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), ("4", 4), (None, "null"), (0.1, 0.1 + 2**-56)]
)
def test_different_values_have_different_texts(one, other):
    assert canonical_json(one) != canonical_json(other)


@given(NUMBERS, NUMBERS)
def test_numbers_share_a_text_exactly_if_they_are_equal(one, other):
    assert (canonical_json(one) == canonical_json(other)) == (one == other)


@given(VALUES)
def test_the_text_reads_back_as_the_value_and_is_a_fixed_point(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(VALUES)
def test_a_file_between_does_not_change_the_text(value):
    assert canonical_json(json.loads(json.dumps(value, indent=1))) == canonical_json(value)


@given(st.dictionaries(st.text(), VALUES, min_size=2, max_size=5))
def test_the_order_of_keys_does_not_matter(value):
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_with_their_place(value):
    with pytest.raises(RecordError, match=r"the value\.alpha\[1\] is"):
        canonical_json({"alpha": [1, value]})


@pytest.mark.parametrize("value", [{1: 2}, {1, 2}, object(), b"x"])
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(RecordError):
        canonical_json(value)


@given(VALUES, VALUES)
def test_values_are_equal_exactly_if_their_texts_are(one, other):
    assert equal(one, other) == (canonical_json(one) == canonical_json(other))


@given(VALUES)
def test_a_value_is_equal_to_itself_after_a_file(value):
    assert equal(value, json.loads(json.dumps(value)))


@pytest.mark.parametrize(("one", "other"), [(True, 1), ([0], [False]), ({"a": 1}, {"a": True})])
def test_a_truth_is_no_number(one, other):
    assert not equal(one, other)
    assert in_words(one) != in_words(other)


@given(NUMBERS | st.booleans() | st.none())
def test_words_are_the_text_of_a_value(value):
    assert in_words(value) == canonical_json(value)
