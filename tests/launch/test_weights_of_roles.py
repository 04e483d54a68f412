"""A student learns from the weights that its teacher's record speaks of, or from none."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.launch.session import Session
from benchmark.launch.summary import Outcome
from benchmark.matrix.request import Request
from benchmark.records.schema import Record
from tests.support.sessions import Execute, Make


def by_recipe(session: Session) -> dict[str, Record]:
    return {record.spec.recipe: record for record in session.store.all().records}


def weights_of(session: Session, recipe: str) -> Path:
    record = by_recipe(session)[recipe]
    [file] = session.workspace.folder(record.identity).glob("weights*")
    return file


def test_records_name_their_weights_and_those_that_taught_them(
    session: Make, execute: Execute
) -> None:
    made = session("kd")
    execute(made)
    records = by_recipe(made)
    teacher, role = records["vanilla"], records["kd"].spec.roles["teacher"]
    assert teacher.metrics is not None
    assert role.weights == teacher.weights
    assert role.top1 == teacher.metrics.top1
    for record in records.values():
        assert made.workspace.load_weights(record.identity, record.weights).digest == record.weights


def test_a_teacher_of_another_precision_in_the_same_folder_teaches_nobody(
    session: Make, execute: Execute, card_folder: Path, tmp_path: Path
) -> None:
    def half(*recipes: str) -> Session:
        request = Request(datasets=("tiny",), recipes=recipes, paths=(card_folder,), seeds="1")
        return Session(request, runs=tmp_path / "runs", results=tmp_path / "half", retry=False)

    execute(session("kd"))
    labels = [run.label for run in half("kd").plan().todo]
    assert labels == ["resnet14 vanilla", "resnet14→resnet8 kd"]
    execute(half("kd"), precision="bf16")
    full, other = by_recipe(session("kd")), by_recipe(half("kd"))
    assert full["vanilla"].identity == other["vanilla"].identity
    assert full["vanilla"].weights != other["vanilla"].weights
    for records in (full, other):
        assert records["kd"].spec.roles["teacher"].weights == records["vanilla"].weights
    for made in (session("crd"), half("crd")):  # each finds its own teacher again
        assert [run.label for run in made.plan().todo] == ["resnet14→resnet8 crd"]


def test_damaged_weights_of_a_teacher_teach_nobody(session: Make, execute: Execute) -> None:
    execute(session("kd"))
    file = weights_of(session("kd"), "vanilla")
    content = bytearray(file.read_bytes())
    content[-50] ^= 64
    file.write_bytes(content)
    summary = execute(session("crd"))
    assert Outcome.recorded not in summary.outcomes.values()
    assert "crd" not in by_recipe(session("crd"))
    file.unlink()
    assert Outcome.recorded in execute(session("crd")).outcomes.values()


def test_weights_that_are_trained_again_stand_for_the_record(
    session: Make, execute: Execute
) -> None:
    execute(session("kd"))
    before = by_recipe(session("kd"))["vanilla"]
    weights_of(session("kd"), "vanilla").unlink()
    execute(session("crd"), precision="bf16")
    records = by_recipe(session("crd"))
    assert records["vanilla"] == before
    role = records["crd"].spec.roles["teacher"]
    kept = session("crd").workspace.load_weights(before.identity, before.weights)
    assert (role.weights, role.top1) == (kept.digest, kept.top1)
    assert role.weights != before.weights, "whoever compares sees that other weights taught it"


@pytest.mark.parametrize("what", ["record", "weights"])
def test_a_death_between_weights_and_record_leaves_neither_without_the_other(
    session: Make, execute: Execute, what: str
) -> None:
    made = session("vanilla")
    execute(made)
    run = made.cells[0].run
    record = made.store.path_of(run.spec)
    if what == "record":  # weights alone, as after a death in between
        record.unlink()
        assert [todo.identity for todo in session("vanilla").plan().todo] == [run.identity]
        execute(session("vanilla"))
        assert len(list(made.workspace.folder(run.identity).glob("weights*"))) == 1
    else:
        weights_of(made, "vanilla").unlink()
        assert session("vanilla").plan().todo == ()
    assert made.store.find(run.spec) is not None
