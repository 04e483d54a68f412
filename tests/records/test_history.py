"""The rows of an epoch, and their file."""

from pathlib import Path

import pytest

from benchmark.errors import RecordError
from benchmark.records.history import EpochRow, diagnostics_of, history_csv, read_history
from tests.records.made_records import record

COMMITTED = Path(__file__).parents[2] / "results"
FIRST = EpochRow(1, {"kd": 0.5, "ce": 2.0}, seconds=3.0, images_per_s=100.0)
SECOND = EpochRow(2, {"ce": 1.5, "kd": 0.25}, seconds=2.5, images_per_s=120.1234567)


@pytest.fixture
def rows():
    return [FIRST, SECOND.evaluated(record(60.0).metrics)]


def test_an_evaluation_adds_its_scores():
    row = FIRST.evaluated(record(60.0).metrics)
    assert (row.top1, row.top5, row.nll) == (60.0, 95.0, 1.25)
    assert (row.terms, row.seconds) == (FIRST.terms, FIRST.seconds)


def test_the_loss_is_the_sum_of_the_terms():
    assert FIRST.loss == 2.5


def test_the_file_has_the_epoch_the_scores_and_the_rest_by_name(rows):
    assert history_csv(rows) == (
        "epoch,top1,top5,nll,images_per_s,loss_ce,loss_kd,seconds\n"
        "1,,,,100,2,0.5,3\n"
        "2,60,95,1.25,120.123,1.5,0.25,2.5\n"
    )


def test_columns_that_no_epoch_has_are_left_out():
    assert history_csv([FIRST]).startswith("epoch,images_per_s,loss_ce,loss_kd,seconds\n")


def test_stages_may_have_terms_of_their_own():
    text = history_csv([EpochRow(1, {"ab": 1.0}, seconds=1.0, images_per_s=1.0), SECOND])
    first, second = read_history(text)
    assert first.terms == {"ab": 1.0}
    assert second.terms == {"ce": 1.5, "kd": 0.25}


def test_every_committed_history_reads_and_is_written_as_it_was():
    files = sorted(COMMITTED.rglob("seed*.csv"))
    assert files
    for file in files:
        text = file.read_bytes().decode()
        assert history_csv(read_history(text)) == text, file


@pytest.mark.parametrize("row", [FIRST, FIRST.evaluated(record(60.0).metrics)])
def test_flat_values_keep_every_digit(row):
    assert EpochRow.from_flat(row.flat()) == row


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch,seconds\n1,2\n", "line 2 of the history: a row of a history has no 'images_per_s'"),
        ("epoch,images_per_s,seconds,top3\n1,2,3,4\n", "unknown column 'top3'"),
        ("epoch,images_per_s,seconds\n1,2,3\n2,x,3\n", "line 3 of the history: could not convert"),
        ("epoch,images_per_s,seconds\n1.5,2,3\n", "the epoch 1.5; they count from 1"),
        ("epoch,images_per_s,seconds\nnan,2,3\n", "the epoch nan; they count from 1"),
        ("epoch,images_per_s,seconds\n1,2,3,4\n", "more values than there are columns"),
    ],
)
def test_what_is_no_history_is_refused(text, said):
    with pytest.raises(RecordError, match=said):
        read_history(text)


class TestDiagnostics:
    def test_are_the_best_epoch_and_the_last_losses(self):
        scored = [
            EpochRow(n, {"ce": n / 2, "kd": 1.0}, seconds=1.0, images_per_s=1.0, top1=top1)
            for n, top1 in enumerate((None, 50.0, 60.0, 60.0, 55.0), start=1)
        ]
        found = diagnostics_of(scored)
        assert (found.best_top1, found.best_epoch) == (60.0, 3), "of equals the first"
        assert (found.train_loss, found.terms) == (3.5, {"ce": 2.5, "kd": 1.0})

    def test_need_an_evaluated_epoch(self):
        with pytest.raises(RecordError, match="no best one"):
            diagnostics_of([FIRST])
