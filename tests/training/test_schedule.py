"""The learning rate, against the published schedule and the laws of a cosine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cards.card import Protocol
from benchmark.training.updates.schedule import learning_rate

PUBLISHED = Protocol(
    name="paper",
    epochs=240,
    batch_size=64,
    lr=0.05,
    lr_by_network={"MobileNetV2": 0.01},
    milestones=(150, 180, 210),
)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1), (149.99, 1), (150, 0.1), (179.9, 0.1), (180, 0.01), (210.5, 0.001), (239.9, 0.001)],
)
def test_steps_fall_where_the_field_has_them(epoch: float, factor: float) -> None:
    assert learning_rate(PUBLISHED, "resnet20", epoch) == pytest.approx(0.05 * factor)
    assert learning_rate(PUBLISHED, "MobileNetV2", epoch) == pytest.approx(0.01 * factor)


@given(at=st.floats(0, 10), warmup=st.sampled_from([0.0, 0.5, 2.0, 10.0]))
def test_a_cosine_stays_between_zero_and_the_base(at: float, warmup: float) -> None:
    protocol = Protocol(
        name="c", epochs=10, batch_size=8, lr=0.1, schedule="cosine", warmup_epochs=warmup
    )
    assert 0 <= learning_rate(protocol, "x", at) <= 0.1


def test_a_cosine_rises_then_falls_to_zero() -> None:
    protocol = Protocol(
        name="c", epochs=10, batch_size=8, lr=0.1, schedule="cosine", warmup_epochs=1
    )
    rates = [learning_rate(protocol, "x", at / 10) for at in range(101)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_a_cosine_may_end_above_zero() -> None:
    protocol = Protocol(name="c", epochs=10, batch_size=8, lr=0.1, schedule="cosine", min_lr=0.02)
    rates = [learning_rate(protocol, "x", at) for at in (0, 5, 10)]
    assert rates == pytest.approx([0.1, 0.06, 0.02])


def test_no_milestones_are_a_constant_rate() -> None:
    protocol = Protocol(name="c", epochs=10, batch_size=8, lr=0.1)
    assert {learning_rate(protocol, "x", at) for at in (0, 5, 10)} == {0.1}
