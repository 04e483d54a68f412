"""Records that no longer say what code and cards of today would give are left out and counted."""

from __future__ import annotations

from benchmark.records.schema import RoleRecord
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.staleness import Current
from tests.records.made_records import record, taught

TEACHER = record(70.0, network="resnet20")


def students(recipe, accuracies, **changes):
    return [
        taught(top1, TEACHER, recipe=recipe, seed=seed, **changes)
        for seed, top1 in enumerate(accuracies)
    ]


def test_older_versions_and_other_data_are_left_out_and_counted():
    records = students("kd", [62.0, 63.0]) + students("at", [60.0], recipe_version=2)
    records += students("crd", [61.0], data_revision="r0")
    board = aggregate(records, Current({"kd": 2, "at": 2}, {"cifar100": "r1"}))
    assert set(board.tables[0].columns[0].cells) == {"at"}
    assert board.stale == {"data revision": 1, "recipe version": 2}


def test_what_is_no_longer_known_is_kept():
    board = aggregate(students("kd", [62.0]), Current({"other": 3}, {"elsewhere": "r9"}))
    assert board.stale == {}


def test_students_of_stale_teachers_are_stale():
    assert aggregate([TEACHER, *students("kd", [62.0])], Current({"vanilla": 2})).stale == {
        "a run that it builds on": 1,
        "recipe version": 1,
    }


def test_students_of_a_teacher_that_was_trained_again_are_stale():
    again = record(71.0, network="resnet20", recipe_version=2)
    board = aggregate([again, *students("kd", [62.0])], Current({"vanilla": 2}))
    assert board.stale == {"a run that it builds on": 1}


def test_staleness_passes_on_through_steps():
    student = record(60.0)
    head = RoleRecord(identity=student.identity, network="resnet8", recipe="vanilla")
    step = record(69.0, network="resnet20", recipe="sh-teacher", roles={"head": head})
    last = taught(62.0, step, recipe="sh-kd")
    board = aggregate([last, step, student], Current({"vanilla": 2}))
    assert sum(board.stale.values()) == 3


def test_imported_teachers_need_no_record():
    records = students("kd", [62.0], variant="teacher of 0123")
    other = record(71.0, network="resnet20", recipe_version=2)
    assert aggregate([other, *records], Current({"vanilla": 2})).stale == {}


def test_a_changed_protocol_is_stale():
    current = Current(protocol_values=lambda spec: {"epochs": 200, "lr": 0.05})
    assert aggregate([TEACHER], current).stale == {"protocol": 1}
