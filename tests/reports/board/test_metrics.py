"""Any number of a record can be aggregated, compared and ranked."""

from __future__ import annotations

import pytest

from benchmark.errors import UnknownName
from benchmark.records.schema import Cost, Metrics
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.metrics import METRICS, TOP1, Metric, scored, spent
from tests.records.made_records import record, taught

TEACHER = record(70.0, network="resnet20")
NLL = METRICS.get("nll")


def with_nll(made, value):
    return made.model_copy(update={"metrics": made.metrics.model_copy(update={"nll": value})})


def students(recipe, values):
    """One student a seed with this negative log-likelihood; None is a run that failed."""
    return [
        taught(None, TEACHER, recipe=recipe, seed=seed)
        if value is None
        else with_nll(taught(60.0, TEACHER, recipe=recipe, seed=seed), value)
        for seed, value in enumerate(values)
    ]


def column(records, metric):
    (table,) = aggregate([TEACHER, *records], metric=metric).tables
    (only,) = table.columns
    return table, only


class TestMetrics:
    def test_every_number_of_a_records_metrics_is_one(self):
        numbers = Metrics.model_fields.keys() - {"evaluated_on", "images"}
        assert numbers <= set(METRICS)

    def test_every_registered_one_reads_a_record_by_its_name(self):
        made = taught(60.0, TEACHER)
        part = {**made.metrics.model_dump(), **dict(made.cost)}
        for metric in METRICS.values():
            assert metric.of(made) == part[metric.name], metric.name

    def test_a_failed_run_has_none_of_them(self):
        failed = record(None)
        assert {metric.of(failed) for metric in METRICS.values()} == {None}

    def test_the_headline_is_the_last_epochs_and_not_the_best(self):
        assert TOP1.of(record(60.0)) == 60.0

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(UnknownName, match="Did you mean 'top1'"):
            METRICS.get("top-1")

    def test_passes_are_none_in_records_that_are_older_than_their_count(self):
        assert METRICS.get("forwards_per_image").of(record(60.0)) is None


class TestBoard:
    def test_means_gains_and_teachers_are_of_the_metric(self):
        alone = [with_nll(record(60.0, seed=seed), 2.0) for seed in (0, 1)]
        _, found = column(students("kd", [1.0, 1.5]) + alone, NLL)
        cell = found.cells["kd"]
        assert cell.score.mean == 1.25
        assert cell.by_seed == {0: 1.0, 1: 1.5}
        assert cell.gain.mean == -0.75
        assert found.teacher_score.mean == TEACHER.metrics.nll

    def test_where_less_is_better_the_lowest_is_the_best_and_stands_first(self):
        records = students("kd", [1.0, 1.1, 1.05]) + students("at", [2.0, 2.1, 2.05])
        records += students("crd", [1.0, 1.2, 1.03])
        table, found = column(records, NLL)
        assert {name: cell.rank for name, cell in found.cells.items()} == {
            "kd": "best",
            "crd": "open",
            "at": None,
        }
        assert table.methods() == ["kd", "crd", "at"]

    def test_where_seeds_failed_the_rest_is_not_the_best(self):
        _, found = column(students("kd", [1.0, 1.1]) + students("at", [0.1, None]), NLL)
        assert {name: cell.rank for name, cell in found.cells.items()} == {
            "kd": "best",
            "at": "open",
        }

    def test_a_cell_knows_every_metric_of_its_records(self):
        _, found = column(students("kd", [1.0, 1.5]), TOP1)
        cell = found.cells["kd"]
        assert cell.score.mean == 60.0
        assert cell.summary(NLL).mean == 1.25
        assert cell.values(NLL) == {0: 1.0, 1: 1.5}
        assert cell.latest(METRICS.get("parameters")) == 80_000

    def test_a_metric_that_no_record_has_gives_an_empty_cell(self):
        _, found = column(students("kd", [1.0]), METRICS.get("forwards_per_image"))
        cell = found.cells["kd"]
        assert (cell.score, cell.by_seed, cell.rank, cell.gain) == (None, {}, None, None)

    def test_a_strangers_metric_is_one_line(self):
        overfit = Metric("mistakes", "%", "lower", scored(lambda metrics: 100 - metrics.top1))
        _, found = column(students("kd", [1.0]), overfit)
        assert found.cells["kd"].score.mean == 40.0

    def test_a_cost_is_a_metric_too(self):
        minutes = Metric("minutes", "min", "lower", spent(lambda cost: cost.train_seconds / 60))
        _, found = column(students("kd", [1.0]), minutes)
        assert found.cells["kd"].score.mean == pytest.approx(100 / 60)


class TestPasses:
    """Forwards and backwards an image are told, once they are counted."""

    @staticmethod
    def passing(made, forwards, backwards):
        counted = {"forwards_per_image": forwards, "backwards_per_image": backwards}
        return made.model_copy(update={"cost": Cost(**made.cost.model_dump() | counted)})

    def test_methods_are_named_by_what_they_cost(self):
        kd, at, twice = (taught(60.0, TEACHER, recipe=name) for name in ("kd", "at", "twice"))
        records = [self.passing(kd, 2, 1), self.passing(at, 2, 1), self.passing(twice, 4, 2)]
        table, _ = column(records, TOP1)
        assert table.notes == (
            "Forwards and backwards an image, teachers included: 2 and 1 (at, kd); 4 and 2 "
            "(twice).",
        )

    def test_nothing_is_said_of_records_without_a_count(self):
        assert column(students("kd", [1.0]), TOP1)[0].notes == ()
