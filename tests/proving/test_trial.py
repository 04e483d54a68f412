"""A minute with a recipe says what happened, and looking on changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.proving.trial import LOOKS, Tried, looks, remarks_on
from benchmark.proving.watch import Seen


@given(st.integers(1, 100_000))
def test_the_first_and_the_last_step_are_looked_at(steps: int) -> None:
    found = looks(steps)
    assert found[0] == 1
    assert found[-1] == steps
    assert found == sorted(set(found))
    assert len(found) <= LOOKS


def tried(**gradients: list[float]) -> Tried:
    """A recipe with these terms, each of a value of its own at every step."""
    seen = []
    for n, norms in enumerate(zip(*gradients.values(), strict=True)):
        by_term = dict(zip(gradients, norms, strict=True))
        seen.append(Seen(n, dict.fromkeys(gradients, 1.0 + n), by_term, 1.0, None))
    return Tried("mine", tuple(seen), {}, 50.0, 100.0, 0)


@pytest.mark.parametrize(
    ("gradients", "said"),
    [
        ({"ce": [1.0, 1.0], "mine": [0.0, 0.0]}, "no gradient"),
        ({"ce": [1.0, 1.0], "mine": [0.009, 0.001]}, "raise its weight"),
        ({"ce": [1.0, 1.0], "mine": [21.0, 30.0]}, "lower its weight"),
    ],
)
def test_an_author_is_told_of_terms_that_do_nothing_or_all(
    gradients: dict[str, list[float]], said: str
) -> None:
    assert any("'mine'" in remark and said in remark for remark in remarks_on(tried(**gradients)))


def test_nothing_is_remarked_of_terms_that_teach() -> None:
    assert list(remarks_on(tried(ce=[1.0, 2.0], mine=[0.5, 0.005]))) == []
    assert list(remarks_on(tried(ce=[0.1, 0.2]))) == []


def test_a_term_that_stays_is_remarked() -> None:
    seen = tuple(Seen(n, {"ce": 2.0}, {"ce": 1.0}, 1.0, None) for n in range(3))
    [remark] = remarks_on(Tried("mine", seen, {}, None, None, None))
    assert remark == "'ce' is 2 at every step: it does not learn"
