"""What is known of runs, and which words train them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.launch.session import Session
from benchmark.matrix.plan import Plan
from benchmark.matrix.run import AnyRun
from benchmark.matrix.states import Known, Retry, State, known_of
from benchmark.records.attestations import Attestation, Compared
from benchmark.records.schema import Cost, Failure, Metrics, Record
from tests.records.made_records import ENVIRONMENT
from tests.support.sessions import Make

OTHER = "0" * 64
COST = Cost(
    parameters=1, macs=2, training_parameters=1, recipe_parameters=0, train_seconds=1.0,
    evaluation_seconds=0.5, group_seconds=1.0, images_per_s=40.0, peak_memory_mb=10.0,
)  # fmt: skip


def recorded(run: AnyRun, top1: float = 50.0, **changes: Any) -> Record:
    accuracies = {role.identity: 60.0 for role in run.roles.values()}
    metrics = Metrics(
        top1=top1, top5=100.0, mean_per_class=top1, nll=1.0, ece=3.0, evaluated_on="test", images=24
    )
    values: dict[str, Any] = {
        "identity": run.identity,
        "status": "ok",
        "spec": run.recorded_spec(accuracies, {}),
        "recipe_source": run.source,
        "finished": "2026-01-01T00:00:00Z",
        "environment": ENVIRONMENT,
        "metrics": metrics,
        "cost": COST,
    }
    if changes.get("status", "ok") != "ok":
        error = Failure(kind="Error", message="it broke\nbadly", where="here")
        values |= {"metrics": None, "cost": None, "error": error}
    return Record(**(values | changes))


@pytest.fixture
def made(session: Make) -> Session:
    """A session on kd; its teacher is recorded with 60 %, the student is open."""
    made = session("kd")
    student = made.cells[0].run
    made.store.write(recorded(student.roles["teacher"], 60.0))
    return made


def student_of(made: Session) -> AnyRun:
    return made.cells[0].run


def known(made: Session) -> Known:
    return known_of(made.runs().values(), made.store)[student_of(made).identity]


def attest(made: Session, old: str, new: str, **changes: Any) -> Path:
    run = student_of(made)
    values: dict[str, Any] = {
        "recipe": "kd",
        "recipe_version": 1,
        "old": old,
        "new": new,
        "by": "record",
        "cell": "tiny/resnet14__resnet8/kd/seed0",
        "identity": run.identity,
        "protocol": "quick",
        "agreement": "bit for bit",
        "metrics": {"top1": Compared(recorded=50.0, again=50.0, tolerance=0.0)},
        "environment": ENVIRONMENT,
        "finished": "2026-01-02T00:00:00Z",
    }
    return made.store.attest(Attestation(**(values | changes)))


def test_a_run_is_missing_done_or_failed(made: Session) -> None:
    assert known(made) == Known(State.missing)
    made.store.write(recorded(student_of(made), status="oom"))
    assert known(made).state is State.failed
    assert known(made).status == "oom"
    assert known(made).reason == "oom: it broke"
    made.store.write(recorded(student_of(made)))
    assert known(made) == Known(State.done, status="ok")


def test_a_record_of_an_older_run_is_stale_and_says_why(made: Session) -> None:
    from benchmark.records.canonical import identity_of

    record = recorded(student_of(made))
    spec = record.spec.model_copy(update={"data_revision": "older"})
    old = record.model_copy(update={"spec": spec, "identity": identity_of(spec)})
    made.store.write(old)
    assert known(made) == Known(State.stale, "of another data revision")
    assert student_of(made) in made.plan().todo


def test_both_kinds_of_digests_of_the_same_source_are_done(made: Session) -> None:
    text = made.recipes.get("kd").source.text
    made.store.write(recorded(student_of(made), recipe_source=text))
    assert known(made).state is State.done


def test_another_source_is_changed_and_stays_unless_asked_for(made: Session) -> None:
    made.store.write(recorded(student_of(made), recipe_source=OTHER))
    found = known(made)
    assert (found.state, found.has_result) == (State.changed, True)
    assert found.reason == "recorded with another source of kd"
    assert student_of(made) not in made.plan().todo
    made.retry = [Retry.changed]
    plan = made.plan()
    assert student_of(made) in plan.todo
    assert student_of(made).identity in plan.again


def test_a_teacher_of_another_source_does_not_change_its_students(session: Make) -> None:
    made = session("kd")
    student = student_of(made)
    teacher = student.roles["teacher"]
    made.store.write(recorded(teacher, 60.0, recipe_source=OTHER))
    made.store.write(recorded(student))
    states = made.plan().states
    assert states[teacher.identity] is State.changed
    assert states[student.identity] is State.done


def test_a_teacher_of_another_accuracy_changes_its_students(made: Session) -> None:
    teacher = student_of(made).roles["teacher"]
    made.store.write(recorded(student_of(made)))
    made.store.path_of(teacher.spec).unlink()
    made.store.write(recorded(teacher, 61.5))
    assert known(made).state is State.changed
    assert known(made).reason == (
        "taught by other weights: its teacher had 60.0 %, and is recorded with 61.5"
    )


def test_a_teacher_of_other_weights_and_equal_accuracy_changes_its_students(made: Session) -> None:
    student, spec = student_of(made), recorded(student_of(made)).spec
    role = spec.roles["teacher"].model_copy(update={"weights": "1" * 64})
    noted = spec.model_copy(update={"roles": {"teacher": role}})
    made.store.write(recorded(student, spec=noted))
    assert known(made).state is State.done, "an older teacher's record has no digest"
    teacher = student.roles["teacher"]
    for digest, state in (("1" * 64, State.done), ("2" * 64, State.changed)):
        made.store.path_of(teacher.spec).unlink()
        made.store.write(recorded(teacher, 60.0, weights=digest))
        assert known(made).state is state


def test_a_damaged_record_is_named_and_is_not_done(made: Session) -> None:
    path = made.store.path_of(student_of(made).spec)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    found = known(made)
    assert (found.state, found.has_result) == (State.damaged, False)
    assert str(path) in found.reason
    assert student_of(made) not in made.plan().todo
    assert "--retry damaged" in made.notes()[0]


STATUSES = ("failed", "diverged", "oom", "timeout")


@pytest.mark.parametrize("word", list(Retry))
def test_each_word_trains_again_what_it_says(made: Session, word: Retry) -> None:
    run = student_of(made)
    found = {}
    for status in STATUSES:
        made.store.write(recorded(run, status=status))
        found[status] = known(made).is_retried([word])
    made.store.path_of(run.spec).unlink()
    made.store.write(recorded(run, recipe_source=OTHER))
    found["changed"] = known(made).is_retried([word])
    made.store.path_of(run.spec).write_text("{")
    found["damaged"] = known(made).is_retried([word])
    made.store.write(recorded(run))
    told = known_of([run], made.store, lambda record: "another machine")[run.identity]
    found["elsewhere"] = told.is_retried([word])
    expected = {
        Retry.failed: set(STATUSES),
        Retry.all: {*STATUSES, "changed", "damaged"},
    }.get(word, {word.value})
    assert {name for name, again in found.items() if again} == expected
    assert not known(made).is_retried([])


def test_a_failure_of_another_source_is_tried_again_with_what_changed(made: Session) -> None:
    made.store.write(recorded(student_of(made), status="failed", recipe_source=OTHER))
    assert known(made).is_retried([Retry.changed])


def test_an_attestation_makes_a_record_done_and_is_shown(made: Session) -> None:
    run = student_of(made)
    made.store.write(recorded(run, recipe_source=OTHER))
    path = attest(made, OTHER, run.source)
    assert known(made).state is State.done
    assert "agrees bit for bit (tiny/resnet14__resnet8/kd/seed0)" in known(made).reason
    assert made.store.all().problems == made.store.all().beside == ()
    path.write_text(path.read_text().replace("2026-01-02", "2026-01-03"))
    assert known(made).state is State.changed
    assert [str(path) in fault.message for fault in made.store.all().beside] == [True]


def test_attestations_lead_from_source_to_source(made: Session) -> None:
    run = student_of(made)
    made.store.write(recorded(run, recipe_source=OTHER))
    attest(made, OTHER, "1" * 64)
    attest(made, "tree1:" + "2" * 64, "1" * 64)
    assert known(made).state is State.changed
    attest(made, "tree1:" + "2" * 64, made.recipes.get("kd").source.text)
    assert known(made).state is State.done


def test_an_attestation_is_of_one_recipe_and_version(made: Session) -> None:
    run = student_of(made)
    made.store.write(recorded(run, recipe_source=OTHER))
    attest(made, OTHER, run.source, recipe_version=2)
    attest(made, OTHER, run.source, recipe="crd")
    assert known(made).state is State.changed


def test_a_forged_attestation_is_refused(made: Session) -> None:
    run = student_of(made)
    made.store.write(recorded(run, recipe_source=OTHER))
    other = {"top1": Compared(recorded=55.0, again=55.0, tolerance=0.0)}
    path = attest(made, OTHER, run.source, metrics=other)
    [fault] = made.store.all().beside
    assert f"contradicts its record: top1 of {'tiny/resnet14__resnet8/kd/seed0'} is 50.0" in (
        fault.message
    )
    assert known(made).state is State.changed
    path.rename(path.with_name("another.json"))
    assert "was moved" in made.store.all().beside[0].message
    with pytest.raises(ValueError, match="does not agree"):
        attest(made, OTHER, run.source, metrics={
            "top1": Compared(recorded=50.0, again=55.0, tolerance=1.0)
        })  # fmt: skip
    with pytest.raises(ValueError, match="no place in a folder"):
        attest(made, OTHER, run.source, cell="../../etc/passwd")


def test_what_is_left_is_told_of(made: Session) -> None:
    made.store.write(recorded(student_of(made), status="diverged"))
    plan: Plan = made.plan()
    assert [one.status for one in plan.left(State.failed)] == ["diverged"]
    assert plan.left(State.damaged) == []
