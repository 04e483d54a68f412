"""What can be trained now, and what cannot any more: asked of outcomes, weights and the store."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from benchmark.launch.order import Order, Outcome
from benchmark.launch.session import Session
from benchmark.matrix.run import AnyRun
from benchmark.training.keeping.stand import BEGINNING, Stand
from benchmark.work.fitting import lead
from tests.support.sessions import Execute, Make


class Weights:
    """Says that the weights of some runs are there."""

    def __init__(self, identities: Collection[str] = ()) -> None:
        self.identities = identities

    def has_weights(self, identity: str, recorded: str | None) -> bool:
        return identity in self.identities

    def stands(self, identity: str, source: str) -> tuple[Stand, ...]:
        return (BEGINNING,)


def by_label(session: Session) -> dict[str, AnyRun]:
    return {run.label: run for run in session.runs().values()}


def order_of(session: Session, weights: Collection[str] = ()) -> Order:
    return Order(session.plan(), session.store, Weights(weights), lead)


def test_what_is_ready_builds_on_what_has_ended(session: Make) -> None:
    made = session("kd", "sh-kd")
    order = order_of(made)
    seen: set[str] = set()
    while order.open:
        ready = [run for group in order.ready(()) for run in group]
        assert ready
        assert all(role.identity in seen for run in ready for role in run.roles.values())
        for run in ready:
            assert list(order.end(run, Outcome.recorded)) == [(run, Outcome.recorded)]
        seen |= {run.identity for run in ready}
    assert seen == made.runs().keys()


def test_what_is_being_trained_is_not_ready(session: Make) -> None:
    made = session("vanilla")
    order = order_of(made)
    assert order.ready(made.runs()) == []


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        (Outcome.failed, Outcome.blocked),
        (Outcome.refused, Outcome.blocked),
        (Outcome.blocked, Outcome.blocked),
        (Outcome.unfinished, Outcome.unfinished),
        (Outcome.disturbed, Outcome.unfinished),
    ],
)
def test_what_a_run_builds_on_decides(session: Make, teacher: Outcome, student: Outcome) -> None:
    made = session("kd")
    runs = by_label(made)
    order = order_of(made)
    kd, vanilla = runs["resnet14→resnet8 kd"], runs["resnet14 vanilla"]
    assert list(order.end(vanilla, teacher)) == [(vanilla, teacher), (kd, student)]
    assert order.open == {}


def test_another_process_s_record_is_news(session: Make, execute: Execute) -> None:
    made = session("vanilla")
    order = order_of(made)
    [run] = made.runs().values()
    assert order.news(run) is None
    execute(session("vanilla"))
    assert order.news(run) is Outcome.recorded


def test_what_another_process_records_after_the_plan_was_made_is_news(
    session: Make, execute: Execute
) -> None:
    made = session("vanilla")
    plan = made.plan()
    execute(session("vanilla"))
    order = Order(plan, made.store, Weights(), lead)
    [run] = made.runs().values()
    assert order.news(run) is Outcome.recorded


def test_weights_that_are_taken_away_let_no_order_wait_for_ever(
    session: Make, execute: Execute
) -> None:
    """They are missed by the run that needs them, which is refused and says so."""
    execute(session("kd"))
    made = session("crd")
    weights = Weights(made.runs().keys())
    order = Order(made.plan(), made.store, weights, lead)
    weights.identities = ()
    assert [len(group) for group in order.ready(())] == [1]


def test_a_teacher_s_record_is_no_news_before_its_weights_are_there(
    session: Make, execute: Execute
) -> None:
    made = session("kd")
    runs = by_label(made)
    teacher = runs["resnet14 vanilla"]
    without, with_weights = order_of(made), order_of(made, {teacher.identity})
    execute(session("kd"))
    assert without.news(teacher) is None
    assert with_weights.news(teacher) is Outcome.recorded
