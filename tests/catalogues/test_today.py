"""What recipes and cards say today is compared with what records say."""

from __future__ import annotations

from pathlib import Path

from benchmark.catalogues.today import current
from benchmark.folders import builtin_folder
from benchmark.records.store import Store

RESULTS = builtin_folder("recipes").parent / "results"


def test_no_committed_record_is_stale(cache_dir: Path) -> None:
    today = current([], cache_dir)
    records = Store(RESULTS).all().records
    assert records
    assert [r.identity for r in records if today.reason(r.spec)] == []


def test_what_changed_since_a_record_is_said(cache_dir: Path) -> None:
    today = current([], cache_dir)
    spec = next(r.spec for r in Store(RESULTS).all().records if r.spec.recipe == "kd")
    assert today.reason(spec.model_copy(update={"recipe_version": 99})) == "recipe version"
    assert today.reason(spec.model_copy(update={"data_revision": "gone"})) == "data revision"
    assert today.reason(spec.model_copy(update={"protocol": "no-such"})) == "protocol"


def test_what_today_knows_nothing_of_is_not_stale(cache_dir: Path) -> None:
    today = current([], cache_dir)
    spec = next(r.spec for r in Store(RESULTS).all().records if r.spec.recipe == "kd")
    gone = spec.model_copy(update={"dataset": "no-such-data-set", "recipe": "no-such-recipe"})
    assert today.reason(gone) is None
