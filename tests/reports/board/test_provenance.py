"""What is not comparable is never in one mean; what is worth a word has one."""

from __future__ import annotations

import csv
import io
import json

import pytest

from benchmark.records.schema import Engine, RoleRecord
from benchmark.records.sources import SourceGroup, Standing
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.footnotes import MANY
from benchmark.reports.board.provenance import recorded
from benchmark.reports.formats import load_formats
from benchmark.reports.leaderboard import render
from benchmark.reports.terminal.results import result_table
from tests.records.made_records import record, taught

FORMATS = load_formats()
TEACHER = record(70.0, network="resnet20")
OTHER = "e" * 64


def where(made, **changes):
    """The record as it would be from another place."""
    return made.model_copy(update={"environment": made.environment.model_copy(update=changes)})


def of_source(made, source):
    return made.model_copy(update={"recipe_source": source})


def kd(top1, seed=0, teacher=TEACHER, **changes):
    return taught(top1, teacher, recipe="kd", seed=seed, **changes)


def continued(made, precision):
    """The record of a run that began on another engine."""
    engine = Engine(torch="2.9.0", device="cpu", processes=1, threads=4, precision=precision)
    return made.model_copy(update={"cost": made.cost.model_copy(update={"earlier": (engine,)})})


def columns(*records, **options):
    (table,) = aggregate([TEACHER, *records], **options).tables
    return {column.mark: column for column in table.columns}


def means(column):
    return {name: cell.score.mean for name, cell in column.cells.items()}


def table_of(*records):
    (table,) = aggregate([TEACHER, *records]).tables
    return table


class TestNotComparable:
    def test_two_rates_of_a_protocol_that_no_card_knows_have_a_column_each(self):
        """Without ``--path`` they were one mean: no card is there to call one of them stale."""
        slow, fast = ({"epochs": 9, "lr": lr} for lr in (0.05, 0.4))
        records = [
            record(50.0, dataset="own", protocol_values=slow),
            record(40.0, dataset="own", protocol_values=fast, seed=1),
            kd(60.0, dataset="own", protocol_values=slow),
            kd(30.0, dataset="own", protocol_values=fast, seed=1),
        ]
        (table,) = aggregate(records).tables
        found = {column.mark: column for column in table.columns}
        assert {mark: means(column) for mark, column in found.items()} == {
            "lr 0.05": {"kd": 60.0},
            "lr 0.4": {"kd": 30.0},
        }
        assert found["lr 0.05"].cells["kd"].gain.mean == 10.0
        assert found["lr 0.4"].cells["kd"].gain.mean == -10.0
        assert [row.cell.method for row in table.networks] == [
            "vanilla (lr 0.4)",
            "vanilla (lr 0.05)",
        ]

    def test_two_augmentations_of_a_set_of_ones_own_have_a_column_each(self):
        found = columns(kd(60.0, data_revision="1+flip"), kd(61.0, seed=1, data_revision="1+crop"))
        assert {mark: means(column) for mark, column in found.items()} == {
            "data revision 1+flip": {"kd": 60.0},
            "data revision 1+crop": {"kd": 61.0},
        }

    def test_precisions_have_a_column_each_and_no_gain_pairs_them(self):
        half = where(kd(61.0), precision="bf16")
        found = columns(record(60.0), record(60.5, seed=1), half, kd(62.0, seed=1))
        assert found["precision bf16"].alone is None
        assert found["precision bf16"].cells["kd"].gain is None
        assert found["precision fp32"].cells["kd"].gain.n == 1

    def test_a_split_has_a_table(self):
        held_out = kd(80.0, seed=1)
        metrics = held_out.metrics.model_copy(update={"evaluated_on": "validation"})
        board = aggregate([TEACHER, kd(60.0), held_out.model_copy(update={"metrics": metrics})])
        assert [table.evaluated_on for table in board.tables] == ["test", "validation"]
        assert [means(t.columns[0]) for t in board.tables] == [{"kd": 60.0}, {"kd": 80.0}]

    @pytest.mark.parametrize(
        ("other", "mark"),
        [
            (kd(66.0, seed=1, recipe_version=2), "recipe version 2"),
            (kd(66.0, seed=1, settings={"t": 2.0}), "setting t 2"),
            (of_source(kd(66.0, seed=1), OTHER), "recipe source eeeeeeee"),
        ],
    )
    def test_what_is_special_about_a_method_gives_it_a_row(self, other, mark):
        (column,) = columns(kd(60.0), other).values()
        assert len(column.cells) == 2
        assert column.cells[f"kd ({mark})"].score.mean == 66.0
        assert not any(cell.complete for cell in column.cells.values())

    def test_attested_sources_are_one_mean_that_says_so(self):
        def origin(made):
            return SourceGroup(Standing.attested, by=(None,) * (made.recipe_source == OTHER))

        records = [kd(60.0), of_source(kd(66.0, seed=1), OTHER)]
        (column,) = columns(*records, origin=origin).values()
        cell = column.cells["kd"]
        assert cell.score.mean == 63.0
        assert cell.notes == (
            "From an older source, attested to give the numbers of today's: seed 1.",
        )

    def test_what_is_of_todays_source_keeps_the_plain_name(self):
        def origin(made):
            return recorded(made) if made.recipe_source != OTHER else SourceGroup(Standing.today)

        records = [kd(60.0), of_source(kd(66.0, seed=1), OTHER)]
        (column,) = columns(*records, origin=origin).values()
        assert means(column) == {"kd": 66.0, "kd (recipe source ffffffff)": 60.0}

    def test_what_taught_counts_as_well(self):
        half = where(record(71.0, network="resnet20", seed=1), precision="bf16")
        (column,) = columns(kd(60.0), half, kd(66.0, seed=1, teacher=half)).values()
        assert means(column) == {
            "kd (teacher's precision fp32)": 60.0,
            "kd (teacher's precision bf16)": 66.0,
        }
        assert column.teacher_score.n == 1
        assert column.teacher_notes == ("Of 2 kinds of teachers, the one with precision bf16.",)

    def test_what_a_record_does_not_tell_holds_it_apart_from_nothing(self):
        unknown = record(71.0, network="resnet20", seed=1)  # has no record on this board
        failed = kd(None, seed=2)
        (column,) = columns(kd(60.0), kd(61.0, seed=1, teacher=unknown), failed).values()
        assert column.cells["kd"].score.n == 2

    def test_the_student_alone_is_of_one_kind(self):
        alone = [record(60.0), record(61.0, seed=1), of_source(record(50.0, seed=2), OTHER)]
        (column,) = columns(*alone, *(kd(62.0, seed=seed) for seed in range(3))).values()
        assert column.alone.score.mean == 60.5
        assert column.alone.notes == (
            "Of 2 kinds of the student alone, the one with recipe source ffffffff.",
        )
        assert column.cells["kd"].gain.n == 2


class TestPairs:
    def test_methods_are_compared_where_one_teacher_taught_both(self):
        retrained = RoleRecord(
            identity=TEACHER.identity, network="resnet20", recipe="vanilla", top1=68.0
        )
        crd = [
            record(61.0 + seed, recipe="crd", seed=seed, pair="resnet20:resnet8",
                   roles={"teacher": retrained})
            for seed in range(3)
        ]  # fmt: skip
        best = [kd(65.0 + seed, seed=seed) for seed in range(3)]
        (column,) = columns(*best, *crd).values()
        # By seed kd leads by four points, each time; but another network taught it.
        assert column.cells["crd"].rank == "open"

    def test_a_teacher_of_another_accuracy_than_its_record_is_said(self):
        role = RoleRecord(
            identity=TEACHER.identity, network="resnet20", recipe="vanilla", top1=68.0
        )
        table = table_of(record(61.0, recipe="kd", pair="resnet20:resnet8",
                                roles={"teacher": role}))  # fmt: skip
        assert table.footnotes == (
            "What it learned from is not what its record speaks of: "
            "teacher resnet20 68.00, in its own record 70.00 (seed 0).",
        )

    def test_other_weights_of_one_accuracy_are_said_and_not_paired(self):
        teacher = TEACHER.model_copy(update={"weights": "a" * 64})
        records = [teacher]
        for recipe, digest in (("kd", "a"), ("crd", "b")):
            role = RoleRecord(
                identity=teacher.identity, network="resnet20", recipe="vanilla", top1=70.0,
                weights=digest * 64,
            )  # fmt: skip
            records += [
                record(60.0 + seed + (recipe == "kd"), recipe=recipe, seed=seed,
                       pair="resnet20:resnet8", roles={"teacher": role})
                for seed in range(3)
            ]  # fmt: skip
        (table,) = aggregate(records).tables
        assert table.columns[0].cells["crd"].rank == "open"
        assert table.footnotes == (
            "What it learned from is not what its record speaks of: "
            "teacher resnet20 with other weights of the same top-1 (seed 0, 1, 2).",
        )


class TestWorthSaying:
    RECORDS = (
        record(60.0),
        record(60.5, seed=1),
        kd(61.0),
        where(kd(62.0, seed=1), device="cuda (H100)", threads=8),
    )

    def test_machines_are_one_mean_and_a_footnote(self):
        table = table_of(*self.RECORDS)
        cell = table.columns[0].cells["kd"]
        assert cell.score.mean == 61.5
        assert table.footnotes == (
            "Averages several devices: cpu, cuda (H100).",
            "Averages several numbers of threads: 2, 8.",
        )
        assert table.numbers(cell.notes) == (1, 2)
        assert table.numbers(table.columns[0].alone.notes) == ()
        assert "The records come from several devices: cpu (4), cuda (H100) (1)." in table.notes

    def test_processors_are_told_apart_as_soon_as_a_record_names_one(self):
        assert not any("processors" in note for note in table_of(*self.RECORDS).notes)
        new = where(kd(62.0, seed=1), processor="AMD EPYC 9654")
        table = table_of(*self.RECORDS[:3], new)
        said = "The records come from several processors: not told (4), AMD EPYC 9654 (1)."
        assert said in table.notes
        assert table.footnotes == ("Averages several processors: AMD EPYC 9654, not told.",)
        assert table.columns[0].cells["kd"].provenance["processors"] == ("AMD EPYC 9654",)

    def test_every_format_says_it_at_the_row(self, printed):
        board = aggregate([TEACHER, *self.RECORDS])
        page = render(board, FORMATS.get("md"))
        assert "| **61.50 ± 0.71 (2)** ¹ ² |" in page
        assert "\n* ¹ Averages several devices: cpu, cuda (H100).\n" in page
        assert "0.71 (2)}$^{1,2}$ \\\\" in render(board, FORMATS.get("latex"))
        assert "$^{1}$ Averages several devices" in render(board, FORMATS.get("latex"))
        (row,) = (
            row
            for row in csv.DictReader(io.StringIO(render(board, FORMATS.get("csv"))))
            if row["method"] == "kd"
        )
        assert row["devices"] == "cpu; cuda (H100)"
        assert row["notes"].startswith("Averages several devices: cpu, cuda (H100).")
        (table,) = json.loads(render(board, FORMATS.get("json")))["tables"]
        (method,) = table["pairs"][0]["methods"]
        assert method["provenance"]["threads"] == ["2", "8"]
        assert len(method["notes"]) == 2
        text = printed(*result_table(board), width=100)
        assert "61.50 ± 0.71   * ¹ ²" in text
        assert "\n¹ Averages several devices: cpu, cuda (H100).\n" in text

    def test_what_holds_for_many_rows_is_one_line(self):
        records = []
        for number in range(MANY + 1):
            made = [taught(60.0 + s, TEACHER, recipe=f"m{number}", seed=s) for s in range(2)]
            records += [made[0], where(made[1], packages={"torch": "2.12.0"})]
        table = table_of(*records)
        assert table.footnotes == ()
        assert (
            f"{MANY + 1} rows: Averages several versions of torch: 2.11.0, 2.12.0." in table.notes
        )
        assert "The records come from several versions of torch: 2.11.0 (8), 2.12.0 (7)." in (
            table.notes
        )

    def test_dirty_trees_and_commits_are_a_line_each(self):
        records = [
            where(kd(60.0 + seed, seed=seed), git_dirty=True, git_commit=f"{seed}" * 40)
            for seed in range(6)
        ]
        table = table_of(*records)
        assert table.footnotes == ()
        assert table.notes == (
            "6 of 7 records come from a working tree with uncommitted changes.",
            "The records come from several commits: "
            "00000000 (2), 11111111 (1), 22222222 (1), 33333333 (1), 2 more.",
        )
        (cell,) = table.columns[0].cells.values()
        assert cell.provenance["commits"][0] == "0" * 12 + "+"

    def test_a_run_that_went_on_under_another_engine_is_named(self):
        table = table_of(continued(kd(60.0, seed=4), "fp32"))
        assert table.footnotes == ("Continued on another engine than it began on: seed 4.",)
        (cell,) = table.columns[0].cells.values()
        assert cell.provenance["engines"] == (
            "torch 2.11.0, cpu, 1 × 2 threads, fp32",
            "torch 2.9.0, cpu, 1 × 4 threads, fp32",
        )

    def test_a_run_that_heard_its_teacher_rounded_is_named(self):
        made = kd(60.0, seed=4)
        cost = made.cost.model_copy(update={"teacher_outputs": "fp16"})
        table = table_of(made.model_copy(update={"cost": cost}))
        assert table.footnotes == ("Heard its teacher rounded to fp16: seed 4.",)

    def test_a_run_that_went_on_in_another_precision_stands_apart(self):
        found = columns(kd(60.0), continued(kd(61.0, seed=1), "bf16"))
        assert set(found) == {"precision fp32", "precision bf16 then fp32"}


def test_the_order_of_the_records_does_not_matter():
    records = [
        TEACHER,
        kd(60.0),
        of_source(kd(61.0, seed=1), OTHER),
        where(kd(62.0, seed=2), precision="bf16"),
        kd(None, seed=3),
        record(59.0),
    ]
    pages = {render(aggregate(records[n:] + records[:n]), FORMATS.get("json")) for n in range(6)}
    assert len(pages) == 1
