"""Records of a clone, and those that were trained here."""

from __future__ import annotations

from pathlib import Path

from benchmark.launch.session import Session
from benchmark.matrix.elsewhere import note
from benchmark.matrix.states import Retry
from benchmark.records.schema import Record
from tests.matrix.test_states import recorded
from tests.support.git import add
from tests.support.sessions import Execute, Make


def records(made: Session) -> dict[str, Record]:
    return {record.identity: record for record in made.records()}


def test_what_came_with_a_clone_is_told_and_trained_here_on_demand(
    session: Make, execute: Execute, tmp_path: Path
) -> None:
    clone = session("kd")
    for run in clone.runs().values():
        clone.store.write(recorded(run, 60.0, weights="1" * 64))
    assert session("kd").plan().elsewhere() == [], "git does not have them"
    add(tmp_path / "results")
    (said,) = session("kd").plan().elsewhere()
    assert said == (
        "1 of 1 cell was recorded elsewhere: commit 00000000, 2026-01-01, cpu. "
        "'kdbench run --own' trains it here."
    )
    assert session("kd").notes() == [said]
    assert session("kd").plan().todo == (), "nothing is trained that nobody asked for"

    before = records(session("kd"))
    own = session("kd", retry=[Retry.elsewhere])
    assert len(own.plan().todo) == 2
    assert own.plan().elsewhere() == [], "they are about to be one's own"
    assert own.notes() == [said], "and are not yet"
    assert execute(own).exit_code == 0

    after = records(session("kd"))
    assert after.keys() == before.keys()
    assert all(after[i].weights != before[i].weights for i in after)
    add(tmp_path / "results")
    assert session("kd").plan().elsewhere() == [], "git has them, and their weights are here"
    assert session("kd", retry=[Retry.elsewhere]).plan().todo == ()


def test_a_record_names_the_machine(session: Make, execute: Execute) -> None:
    made = session("vanilla")
    execute(made)
    (record,) = made.records()
    where = record.environment
    assert where.processor
    assert where.machine == where.processor
    assert where.model_copy(update={"device": "NVIDIA H100"}).machine == "NVIDIA H100"
    assert where.model_copy(update={"processor": None}).machine == where.device


def test_origins_are_counted() -> None:
    assert note(["", ""]) == []
    assert note(["commit 1, today, cpu", ""])[0].startswith(
        "1 of 2 cells was recorded elsewhere: commit 1, today, cpu. "
    )
    assert note(["a", "b", "b", "c", ""])[0].startswith(
        "4 of 5 cells were recorded elsewhere: b (2); a (1); 1 more. "
    )
