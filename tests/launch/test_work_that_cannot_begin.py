"""What fails before any member trains: the surroundings are no one's result, and end no matrix."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

import pytest

from benchmark.data.splits import DataSet
from benchmark.launch import assignment
from benchmark.launch.conductor import Conductor
from benchmark.launch.order import Outcome
from benchmark.work.place import Place
from tests.support.listeners import Noting
from tests.support.sessions import Execute, Make

Read = Callable[..., DataSet]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets reading data fail at some of its calls, counted from 1; the first opens them."""

    def at(error: Exception, *calls: int) -> None:
        read, count = Place.data_of, 0

        def data_of(self: Place, *words: object) -> DataSet:
            nonlocal count
            count += 1
            if count in calls:
                raise error
            return read(self, *words)  # type: ignore[arg-type]

        monkeypatch.setattr(Place, "data_of", data_of)

    return at


def test_a_disk_that_fails_while_data_are_read_is_tried_again(
    session: Make, execute: Execute, fail: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assignment, "Conductor", partial(Conductor, pauses_s=(0.0, 0.0)))
    fail(OSError(errno.EIO, "Input/output error"), 2, 3)
    noting = Noting()
    summary = execute(session("vanilla"), listener=noting)
    assert set(summary.outcomes.values()) == {Outcome.recorded}
    assert sum("not a fault of the runs" in note for note in noting.notes) == 2


def test_a_fault_that_nobody_thought_of_is_no_record_and_ends_no_matrix(
    session: Make, execute: Execute, fail: Callable[..., None]
) -> None:
    fail(ValueError("a bug"), 2)
    noting = Noting()
    summary = execute(session("vanilla"), listener=noting)
    assert set(summary.outcomes.values()) == {Outcome.refused}
    assert summary.exit_code == 1
    assert any("ValueError: a bug" in note for note in noting.notes)
    assert session("vanilla").store.all().records == ()
