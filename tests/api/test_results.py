"""Records as a table: nothing is left out in silence."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import benchmark
from benchmark.folders import builtin_folder
from benchmark.records.schema import Cost, Metrics
from benchmark.records.store import Store

RESULTS = builtin_folder("recipes").parent / "results"


def test_every_record_is_a_row(trained: dict[str, Path], card_folder: Path) -> None:
    table = benchmark.load_results(trained["results"], paths=[card_folder])
    records = {r.identity: r for r in Store(trained["results"]).all().records}
    assert set(table.identity) == set(records)
    assert table.stale.isna().all()
    assert {*Metrics.model_fields, *Cost.model_fields} < set(table.columns)
    for row in table.itertuples():
        record = Store(trained["results"]).lookup(row.cell)
        assert (row.identity, row.status) == (record.identity, "ok")
        assert record.metrics is not None
        assert (row.top1, row.nll) == (record.metrics.top1, record.metrics.nll)


def test_runs_are_told_apart(trained: dict[str, Path], card_folder: Path) -> None:
    table = benchmark.load_results(trained["results"], paths=[card_folder]).set_index("label")
    assert table.loc["kd", ["pair", "teacher", "network", "protocol"]].tolist() == [
        "resnet14:resnet8", "resnet14", "resnet8", "quick[epochs=1]"
    ]  # fmt: skip
    assert table.loc["th-kd[form=paper]", "recipe"] == "th-kd"
    assert table.loc["vanilla", "teacher"].isna().all()
    assert not table.loc["kd", "ranked"]


@pytest.mark.skipif(not RESULTS.is_dir(), reason="this copy has no records")
def test_the_committed_records_can_be_summed_up() -> None:
    table = benchmark.load_results(RESULTS)
    means = table[table.stale.isna()].groupby(["dataset", "label"]).top1.mean()
    assert means["sketchbirds", "kd"] > 0
    assert table.seed.dtype.kind == "i"
    assert table.top1.dtype.kind == "f"


def test_what_is_stale_or_unreadable_is_said(
    trained: dict[str, Path], card_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained["results"], tmp_path / "results")
    shutil.copytree(card_folder, tmp_path / "more")
    card = tmp_path / "more" / "datasets" / "tiny.toml"
    card.write_text(card.read_text().replace("seed = 5", "seed = 6"))
    broken = next((tmp_path / "results").rglob("seed0.json"))
    broken.write_text(json.dumps({"schema_version": 1}))
    with pytest.warns(UserWarning, match=f"left out: the record {re.escape(str(broken))}"):
        table = benchmark.load_results(tmp_path / "results", paths=[tmp_path / "more"])
    assert (table.stale == "data revision").all()


def test_an_empty_folder_has_the_columns_and_no_rows(tmp_path: Path) -> None:
    table = benchmark.load_results(tmp_path)
    assert len(table) == 0
    assert {"dataset", "top1", "images_per_s"} < set(table.columns)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(benchmark.BenchmarkError, match=r"no folder .*nowhere"):
        benchmark.load_results(tmp_path / "nowhere")
