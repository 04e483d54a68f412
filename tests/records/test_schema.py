"""The schema grows by keys that older records do not have; they stay as they are."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmark.records.schema import Cost, Metrics, Record
from tests.records.made_records import record

COMMITTED = sorted((Path(__file__).parents[2] / "results").rglob("seed*.json"))
PASSES = {"forwards_per_image", "backwards_per_image"}
OUTPUTS = {"teacher_outputs_read": 0.5, "teacher_outputs": "fp16"}


def test_passes_that_were_not_counted_are_no_keys():
    cost = record(60.0).cost
    assert not PASSES & cost.model_dump(mode="json").keys()
    assert not PASSES & json.loads(record(60.0).model_dump_json())["cost"].keys()


def test_passes_that_were_counted_are_written_and_read(store):
    made = record(60.0)
    cost = made.cost.model_copy(update={"forwards_per_image": 3.0, "backwards_per_image": 1.0})
    store.write(made.model_copy(update={"cost": cost}))
    read = store.find(made.spec)
    assert (read.cost.forwards_per_image, read.cost.backwards_per_image) == (3.0, 1.0)


def test_how_teacher_outputs_came_about_is_a_key_where_it_matters(store):
    made = record(60.0)
    assert not OUTPUTS.keys() & made.cost.model_dump(mode="json").keys()
    store.write(made.model_copy(update={"cost": made.cost.model_copy(update=OUTPUTS)}))
    written = store.find(made.spec).cost.model_dump(mode="json")
    assert {name: written[name] for name in OUTPUTS} == OUTPUTS


def test_the_schema_still_says_what_a_cost_has():
    assert Cost.model_json_schema()["properties"].keys() > PASSES


@pytest.mark.parametrize("path", COMMITTED[:: len(COMMITTED) // 8], ids=str)
def test_a_committed_record_gets_no_count_of_passes(path):
    values = json.loads(path.read_text())
    cost = Record.model_validate(values).model_dump(mode="json")["cost"]
    assert cost == {"extra_epochs": 0} | values["cost"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_evaluation_that_is_not_finite_is_no_metrics(value):
    with pytest.raises(ValidationError, match="finite"):
        Metrics(**record(60.0).metrics.model_dump() | {"nll": value})
