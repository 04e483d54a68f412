from __future__ import annotations

import pytest

from benchmark.records.schema import DRAW, RoleRecord
from benchmark.reports.board.aggregate import aggregate, method_of
from tests.records.made_records import record, taught, world

HEAD = RoleRecord(identity="a" * 64, network="resnet8", recipe="vanilla")
TEACHER = record(70.0, network="resnet20")


def students(recipe, accuracies, **changes):
    return [
        taught(top1, TEACHER, recipe=recipe, seed=seed, **changes)
        for seed, top1 in enumerate(accuracies)
    ]


def alone(accuracies):
    return [record(top1, seed=seed) for seed, top1 in enumerate(accuracies)]


def column(records, current=None):
    (table,) = aggregate([TEACHER, *records], current).tables
    (only,) = table.columns
    return only


def test_an_independent_draw_is_no_seed_of_its_network():
    """It is trained for the method that builds on it, which stands in the table."""
    records = [*alone([60.0]), record(90.0, seed=DRAW), *students("kd", [61.0])]
    (table,) = aggregate([TEACHER, *records], None).tables
    (only,) = table.columns
    assert only.alone.by_seed == {0: 60.0}
    assert {row.network: row.cell.score.n for row in table.networks} == {
        "resnet20": 1,
        "resnet8": 1,
    }


class TestCells:
    def test_last_epoch_counts_and_best_on_test_does_not(self):
        # Every made record claims a best epoch that is five points better.
        cell = column(students("kd", [62.0, 63.0, 64.0])).cells["kd"]
        assert cell.score.mean == 63.0
        assert cell.score.std == 1.0
        assert cell.by_seed == {0: 62.0, 1: 63.0, 2: 64.0}

    def test_gain_is_paired_with_the_student_alone(self):
        found = column(students("kd", [62.0, 63.0, 65.0]) + alone([60.0, 62.0]))
        gain = found.cells["kd"].gain
        assert (gain.n, gain.mean) == (2, 1.5)
        assert found.alone.missing == (2,)

    def test_without_the_student_alone_there_is_no_gain(self):
        found = column(students("kd", [62.0]))
        assert found.alone is None
        assert found.cells["kd"].gain is None

    def test_missing_and_failed_seeds_are_told_apart(self):
        records = students("kd", [62.0, 63.0, 64.0, 65.0])
        records += students("at", [60.0, None, None], status="diverged")
        cell = column(records).cells["at"]
        assert cell.score.n == 1
        assert cell.failures == {"diverged": (1, 2)}
        assert cell.missing == (3,)
        assert not cell.complete

    def test_other_settings_are_another_row(self):
        changed = {"crd_weight": 0.8, "head": True, "mode": "soft"}
        records = students("th-kd", [62.0]) + students("th-kd", [63.0], changed=changed)
        names = set(column(records).cells)
        assert names == {"th-kd", "th-kd[crd_weight=0.8,head=true,mode=soft]"}

    def test_an_unusual_teacher_is_another_row(self):
        records = students("kd", [62.0]) + students("kd", [66.0], variant="teacher of 0123")
        found = column(records)
        assert set(found.cells) == {"kd", "kd (teacher of 0123)"}

    def test_the_teachers_row_is_the_teachers_that_were_used(self):
        other = record(72.0, network="resnet20", seed=1)
        records = [*students("kd", [62.0]), other, taught(63.0, other, recipe="kd", seed=1)]
        assert column(records).teacher_score.mean == 71.0
        assert column(records).teacher_score.n == 2

    def test_the_teachers_accuracy_is_known_without_its_record(self):
        (table,) = aggregate(students("kd", [62.0])).tables
        assert table.columns[0].teacher_score.mean == 70.0

    def test_a_method_with_its_own_teacher_does_not_change_the_teachers_row(self):
        own = record(68.0, network="resnet20", recipe="sh-teacher", roles={"head": HEAD})
        found = column([*students("kd", [62.0]), own, taught(63.0, own, recipe="sh-kd")])
        assert found.teacher_score.mean == 70.0
        assert found.cells["sh-kd"].teacher.mean == 68.0

    def test_a_method_without_a_teacher_competes_in_the_pairs_of_its_student(self):
        smooth = record(61.0, recipe="smoothing")
        found = column([*students("kd", [62.0]), smooth])
        assert found.cells["smoothing"].score.mean == 61.0
        assert found.cells["smoothing"].teacher is None


class TestRank:
    def test_best_and_what_is_not_shown_to_be_below_it(self):
        records = students("kd", [62.0, 62.5, 62.3]) + students("crd", [62.1, 62.4, 62.5])
        records += students("at", [61.0, 61.5, 61.3])
        cells = column(records).cells
        assert {name: cell.rank for name, cell in cells.items()} == {
            "crd": "best",
            "kd": "open",
            "at": None,
        }

    def test_survivors_of_failed_seeds_are_not_the_best(self):
        records = students("kd", [62.0, 62.5]) + students("crd", [70.0, None])
        cells = column(records).cells
        assert cells["kd"].rank == "best"
        assert cells["crd"].rank == "open"

    def test_with_one_seed_nothing_is_tested(self):
        cells = column(students("kd", [62.0]) + students("crd", [62.1])).cells
        assert (cells["crd"].rank, cells["kd"].rank) == ("best", None)

    def test_protocols_that_are_not_ranked_have_no_best(self):
        (table,) = aggregate(students("kd", [62.0, 63.0], ranked=False)).tables
        cells = table.columns[0].cells
        assert cells["kd"].rank is None


class TestTables:
    def test_ranked_and_unranked_protocols_are_apart_and_ranked_come_first(self):
        records = students("kd", [50.0], protocol="brief", ranked=False) + students("kd", [62.0])
        tables = aggregate(records).tables
        assert [(table.protocol, table.ranked) for table in tables] == [
            ("paper", True),
            ("brief", False),
        ]

    def test_networks_are_all_that_is_no_cell(self):
        (paper, _) = aggregate(world()).tables
        assert [(row.network, row.cell.method) for row in paper.networks] == [
            ("resnet20", "vanilla"),
            ("resnet20", "sh-teacher, head resnet8"),
            ("resnet8", "vanilla"),
            ("vgg13", "vanilla"),
            ("vgg8", "vanilla"),
        ]

    def test_imported_weights_are_a_network_and_no_method(self):
        weights = record(60.0, recipe="imported", protocol_values={}, changed={"sha256": "ab12"})
        pupil = taught(62.0, weights, recipe="kd")
        # It is shown where it taught, whatever protocol it was first evaluated under.
        weights = weights.model_copy(
            update={"spec": weights.spec.model_copy(update={"protocol": "another"})}
        )
        (table,) = aggregate([TEACHER, weights, pupil, *students("kd", [62.0])]).tables
        assert {name.partition(" ")[0] for name in table.columns[0].cells} == {"kd"}
        assert "imported[sha256=ab12]" in {row.cell.method for row in table.networks}
        assert table.notes == ()

    def test_what_weakens_a_comparison_is_noted(self):
        (one, two) = students("kd", [62.0, 63.0])
        environment = one.environment.model_copy(update={"git_dirty": True, "precision": "bf16"})
        one = one.model_copy(update={"environment": environment})
        two = two.model_copy(update={"recipe_source": "0" * 64})
        (table,) = aggregate([one, two]).tables
        assert table.notes == (
            "1 of 2 records come from a working tree with uncommitted changes.",
            "1 of 2 records were trained in bf16.",
            "The recipe's file changed between records of one version: kd.",
        )

    def test_what_trains_longer_is_noted(self):
        longer = students("ft", [62.0])[0]
        assert longer.cost is not None
        cost = longer.cost.model_copy(update={"extra_epochs": 30})
        (table,) = aggregate(
            [longer.model_copy(update={"cost": cost}), *students("kd", [61.0])]
        ).tables
        assert table.notes == ("A first stage of 30 more epochs: ft.",)

    def test_a_control_with_its_own_teacher_competes_in_every_pair_of_its_student(self):
        student, other = record(60.0), record(75.0, network="resnet56")
        own = RoleRecord(identity=student.identity, network="resnet8", recipe="vanilla", top1=60.0)
        control = record(61.0, recipe="self-kd", roles={"teacher": own})
        methods = [*students("kd", [62.0]), taught(63.0, other, recipe="kd")]
        (table,) = aggregate([TEACHER, other, student, control, *methods]).tables
        assert [column.teacher for column in table.columns] == ["resnet20", "resnet56"]
        for column in table.columns:
            assert set(column.cells) == {"kd", "self-kd"}
            assert column.cells["self-kd"].gain is not None
            assert column.cells["self-kd"].gain.mean == pytest.approx(1.0)
        assert table.columns[0].teacher_score.mean == 70.0

    def test_a_teacher_between_is_not_a_control(self):
        """Its run is another in every pair, and stays in the column of who taught it."""
        between = record(66.0, network="resnet14", recipe="kd", pair="resnet20:resnet14")
        role = RoleRecord(identity=between.identity, network="resnet14", recipe="kd", top1=66.0)
        last = record(63.0, recipe="assisted", pair="resnet20:resnet8", roles={"teacher": role})
        (table,) = aggregate([TEACHER, between, last, *students("kd", [62.0])]).tables
        assert {c.teacher: set(c.cells) for c in table.columns} == {
            "resnet14": {"assisted"},
            "resnet20": {"kd"},
        }

    def test_nothing_gives_nothing(self):
        assert aggregate([]).tables == ()


def test_labels_spell_numbers_by_their_value():
    assert method_of(record(60.0, changed={"alpha": 4.0}).spec) == "vanilla[alpha=4]"
