"""Who gives work, takes endings and lets go: with a launcher that does what a test tells it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmark.events import Listener
from benchmark.launch.claims import Claims
from benchmark.launch.conductor import Conductor
from benchmark.launch.launcher import Died, Ended, Launcher, Message, Opening, Work
from benchmark.launch.order import Order, Outcome
from benchmark.launch.session import Session
from benchmark.records.schema import Failure
from benchmark.training.ending import Disturbed, Failed
from benchmark.training.halt import Halt
from benchmark.work.accelerator import make_accelerator
from benchmark.work.environment import environment
from benchmark.work.fitting import lead
from benchmark.work.recording import Recorder
from benchmark.work.train import GroupSpec
from tests.support.listeners import Noting
from tests.support.sessions import Make

Does = Callable[[int, GroupSpec], Message | None]


@dataclass
class Told(Launcher):
    """Does with every group what it is told."""

    does: Does = field(kw_only=True)
    groups: list[int] = field(default_factory=list)
    _over: list[Message] = field(default_factory=list)

    def start(self, number: int, work: Work) -> None:
        message: Message | None = Ended(number, (), HERE)
        if not isinstance(work, Opening):
            self.groups.append(len(work.members))
            message = self.does(number, work)
        self.busy.add(number)
        self._over += [message] if message is not None else []

    def wait(self, timeout_s: float) -> list[Message]:
        over, self._over = self._over, []
        self.busy -= {message.work for message in over}
        return over

    def stop(self) -> None: ...

    def close(self) -> None: ...


HERE = environment(make_accelerator("fp32"))
DISTURBED = Disturbed("the disk is full", lasting=True)


def failing(number: int, work: GroupSpec) -> Message:
    failure = Failure(kind="E", message="m", where="w")
    return Ended(number, (Failed("failed", failure),) * len(work.members), HERE)


@dataclass
class Conducted:
    conductor: Conductor
    launcher: Told
    order: Order
    noting: Noting


@pytest.fixture
def conduct() -> Iterator[Callable[..., Conducted]]:
    closed: list[Claims] = []

    def make(
        session: Session, does: Does, *, slots: int = 1, listener: Listener | None = None
    ) -> Conducted:
        plan = session.plan()
        order = Order(plan, session.store, session.workspace, lead)
        launcher = Told(slots, Halt(), does=does)
        claims = Claims(session.workspace.folder)
        closed.append(claims)
        noting = Noting()
        conductor = Conductor(
            order, claims, launcher, Recorder(session.store, session.workspace),
            listener or noting, teachers={}, paths=tuple(session.request.paths), pauses_s=(0.0,),
        )  # fmt: skip
        return Conducted(conductor, launcher, order, noting)

    yield make
    for claims in closed:
        claims.close()


def test_a_disturbance_that_lasts_is_tried_again_and_then_given_up(
    session: Make, conduct: Callable[..., Conducted]
) -> None:
    made = session("kd")
    does = lambda number, work: Ended(number, (DISTURBED,) * len(work.members), HERE)  # noqa: E731
    held = conduct(made, does)
    held.conductor.run()
    assert held.launcher.groups == [1, 1]
    assert sorted(held.order.outcomes.values()) == [Outcome.disturbed, Outcome.unfinished]
    assert not list(made.workspace.root.rglob("claim-*"))
    assert made.store.all().records == ()


def test_what_dies_after_other_work_is_tried_in_a_new_process_before_it_is_blamed(
    session: Make, conduct: Callable[..., Conducted]
) -> None:
    def dies(number: int, work: GroupSpec) -> Message:
        fresh = len(held.launcher.groups) != 1
        return Died(number, "the process ended by itself", "crash", fresh=fresh)

    made = session("vanilla")
    held = conduct(made, dies)
    held.conductor.run()
    assert held.launcher.groups == [1, 1]
    assert [record.status for record in made.store.all().records] == ["failed"]
    assert any("new process" in note for note in held.noting.notes)


def test_members_that_nobody_else_trains_do_not_wait_for_the_one_that_another_does(
    session: Make, conduct: Callable[..., Conducted]
) -> None:
    made = session("vanilla", "kd")
    first = made.plan().todo
    alone = [run for run in first if not run.roles]
    other = Claims(made.workspace.folder)
    other.take(alone[0].identity, "of another command")

    def does(number: int, work: GroupSpec) -> Message:
        assert alone[0].identity not in work.identities
        held.launcher.halt.ask()
        return failing(number, work)

    held = conduct(made, does)
    held.conductor.run()
    other.close()
    assert held.launcher.groups == [len(alone) - 1]


def test_a_folder_that_takes_no_claim_is_waited_for(
    session: Make, conduct: Callable[..., Conducted], monkeypatch: pytest.MonkeyPatch
) -> None:
    take, calls = Claims._take, 0

    def full(self: Claims, folder: Path, label: str) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return take(self, folder, label)

    monkeypatch.setattr(Claims, "_take", full)
    held = conduct(session("vanilla"), failing)
    held.conductor.run()
    assert set(held.order.outcomes.values()) == {Outcome.failed}
    assert any("No space left on device" in note for note in held.noting.notes)


class HearingEnds(Noting):
    """Remembers how runs were said to end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []

    def run_finished(self, label: str, outcome: str) -> None:
        self.ends.append(outcome)


def test_who_sleeps_over_the_writing_of_a_record_does_not_say_that_the_run_was_its_own(
    session: Make, conduct: Callable[..., Conducted], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, record, ending = session("vanilla"), Recorder.record, HearingEnds()

    def sleeping(self: Recorder, *arguments: Any) -> None:
        record(self, *arguments)
        [claim] = made.workspace.root.rglob("claim-1")
        claim.rename(claim.with_name("claim-2"))  # as of another command, which is done already

    monkeypatch.setattr(Recorder, "record", sleeping)
    held = conduct(made, failing, listener=ending)
    held.conductor.run()
    assert ending.ends == ["failed by another process"]
    assert any("another process has it now" in note for note in ending.notes)


class Broken(Listener):
    """Fails at whatever it hears."""

    def run_finished(self, label: str, outcome: str) -> None:
        raise OSError(errno.EIO, "the terminal is gone")

    def note(self, message: str) -> None:
        raise OSError(errno.EIO, "the terminal is gone")


def test_a_listener_that_fails_ends_nothing(
    session: Make, conduct: Callable[..., Conducted]
) -> None:
    held = conduct(session("vanilla"), failing, listener=Broken())
    held.conductor.run()
    assert set(held.order.outcomes.values()) == {Outcome.failed}


def test_a_stop_does_not_wait_for_data_that_are_being_opened(
    session: Make, conduct: Callable[..., Conducted], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = conduct(session("vanilla"), failing)

    def opening(number: int, work: Work) -> None:
        held.launcher.busy.add(number)  # and never ends
        held.launcher.halt.ask()

    monkeypatch.setattr(held.launcher, "start", opening)
    held.conductor.run()
    assert set(held.order.outcomes.values()) == {Outcome.unfinished}


def test_a_result_that_cannot_be_written_is_no_good_end(
    session: Make, conduct: Callable[..., Conducted], monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(*words: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    held = conduct(session("vanilla"), failing)
    monkeypatch.setattr(held.conductor.recorder, "record", record)
    held.conductor.run()
    assert set(held.order.outcomes.values()) == {Outcome.disturbed}
