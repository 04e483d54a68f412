"""Which group is next, and what cannot start: asked of outcomes and of weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from benchmark.launch.order import Order, Outcome
from benchmark.launch.session import Session
from benchmark.matrix.plan import State
from benchmark.matrix.run import AnyRun
from benchmark.training.keeping.stand import BEGINNING, Stand
from benchmark.work.fitting import lead
from tests.support.sessions import Make


class Weights:
    """Says that the weights of some runs are there."""

    def __init__(self, identities: Collection[str] = ()) -> None:
        self.identities = identities

    def has_weights(self, identity: str, recorded: str | None) -> bool:
        return identity in self.identities

    def stands(self, identity: str, source: str) -> tuple[Stand, ...]:
        return (BEGINNING,)


def by_recipe(session: Session) -> dict[str, AnyRun]:
    return {run.label: run for run in session.runs().values()}


def test_every_group_stands_behind_those_that_it_builds_on(session: Make) -> None:
    made = session("kd", "sh-kd")
    order = Order(made.plan(), Weights(), lead)
    seen: set[str] = set()
    for group in order.groups():
        assert all(role.identity in seen for run in group for role in run.roles.values())
        seen |= {run.identity for run in group}
    assert seen == made.runs().keys()


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (Outcome.recorded, None),
        (Outcome.failed, Outcome.blocked),
        (Outcome.blocked, Outcome.blocked),
        (Outcome.unfinished, Outcome.unfinished),
    ],
)
def test_what_a_run_builds_on_decides(
    session: Make, teacher: Outcome, said: Outcome | None
) -> None:
    made = session("kd")
    runs = by_recipe(made)
    order = Order(made.plan(), Weights(), lead)
    ended = {runs["resnet14 vanilla"].identity: teacher}
    assert order.obstacle(runs["resnet14→resnet8 kd"], ended) is said


def test_without_an_outcome_the_plan_decides(session: Make) -> None:
    made = session("kd")
    runs = by_recipe(made)
    student, teacher = runs["resnet14→resnet8 kd"], runs["resnet14 vanilla"]
    plan = made.plan()
    for state, said in ((State.done, None), (State.failed, Outcome.blocked)):
        order = Order(replace(plan, states={teacher.identity: state}), Weights(), lead)
        assert order.obstacle(student, {}) is said
