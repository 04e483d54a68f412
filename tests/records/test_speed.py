"""Measured speeds that are kept: one file a device, and only what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.errors import RecordError
from benchmark.records.places import place_of, record_files
from benchmark.records.speed import Repeats, read_speed, read_speeds, save_speed, slug
from benchmark.records.store import Store
from tests.records.made_records import record, spec
from tests.records.made_speeds import STEP, speed


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    made = speed()
    path = save_speed(made, tmp_path)
    assert path == tmp_path / "speed" / "made-processor-3000-2-cores.json"
    [device] = read_speeds(tmp_path)[0]
    assert device.measurements == (made,)
    assert device.device == "Made Processor 3000, 2 cores"


def test_a_gpu_has_a_file_of_its_own(tmp_path: Path) -> None:
    save_speed(speed(), tmp_path)
    gpu = speed().environment.model_copy(update={"device": "NVIDIA H100 80GB HBM3"})
    host = STEP["host"].model_copy(update={"launches": 700.0, "graph_launches": 0.0})
    step = speed().recipes["kd"].model_copy(update={"host": host})
    path = save_speed(speed(device="cuda:0", environment=gpu, recipes={"kd": step}), tmp_path)
    assert path.name == "nvidia-h100-80gb-hbm3.json"
    devices, problems = read_speeds(tmp_path)
    assert len(devices) == 2
    assert problems == ()
    assert devices[1].measurements[0].recipes["kd"].host == host


def test_a_later_measurement_of_the_same_takes_its_place(tmp_path: Path) -> None:
    recipes = speed().recipes
    save_speed(speed(), tmp_path)
    save_speed(speed(precision="bf16"), tmp_path)
    save_speed(speed(pair="vgg13:vgg8", recipes={"kd": recipes["kd"]}), tmp_path)
    again = speed(seconds=20.0, recipes=dict(reversed(recipes.items())))
    save_speed(again, tmp_path)
    [device] = read_speeds(tmp_path)[0]
    assert len(device.measurements) == 3
    assert [found.seconds for found in device.measurements if found.what == again.what] == [20.0]


def test_the_order_of_saving_is_not_seen(tmp_path: Path) -> None:
    several = [speed(), speed(precision="bf16"), speed(threads=1)]
    paths = [
        [save_speed(made, tmp_path / name) for made in order][-1]
        for name, order in (("one", several), ("other", several[::-1]))
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"seconds": 10.0', '"seconds": 11.0', "was changed"),
        ('"schema_version": 1', '"schema_version": 2', "schema_version"),
        ('"images_per_s": 1000.0', '"images_per_s": 9000.0', "is not between"),
        ('"images_per_s": 1000.0', '"images_per_s": NaN', "NaN"),
        ('"threads": 2', '"threads": 2, "more": 1', "unknown key 'more'"),
        ('"processor": "Made', '"processor": "Fast', "holds what is of"),
        ("{", "", "is not whole JSON"),
    ],
)
def test_what_was_changed_is_refused_by_name(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = save_speed(speed(), tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    devices, [problem] = read_speeds(tmp_path)
    assert devices == ()
    assert problem.path == path
    assert says in problem.message
    assert "kdbench speed --save" in problem.message
    with pytest.raises(RecordError, match=r"--save"):
        save_speed(speed(), tmp_path)  # it does not overwrite what it cannot read


def test_a_copy_under_another_name_is_refused(tmp_path: Path) -> None:
    path = save_speed(speed(), tmp_path)
    copy = path.with_name("mine.json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(RecordError, match="was moved"):
        read_speed(copy, tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "speed").write_text("a file")
    with pytest.raises(RecordError, match="--results"):
        save_speed(speed(), tmp_path)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside, results = tmp_path / "outside", tmp_path / "results"
    outside.mkdir()
    results.mkdir()
    (results / "speed").symlink_to(outside)
    with pytest.raises(RecordError, match="is a link"):
        save_speed(speed(), results)


def test_the_store_of_records_passes_the_folder_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(record(70.0))
    save_speed(speed(), tmp_path)
    contents = store.all()
    assert len(contents.records) == 1
    assert contents.problems == ()
    assert len(record_files(tmp_path)) == 1


def test_a_data_set_of_that_name_has_another_folder(tmp_path: Path) -> None:
    place = place_of(spec(dataset="speed"))
    assert place.parts[0].startswith("speed~")
    store = Store(tmp_path)
    store.write(record(70.0, dataset="speed"))
    assert len(store.all().records) == 1


def test_a_median_lies_between_the_lowest_and_the_highest() -> None:
    with pytest.raises(ValidationError, match="is not between"):
        Repeats(images_per_s=3.0, lowest=4.0, highest=5.0)


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_a_name_of_a_file_is_safe_and_tells_strange_devices_apart(one: str, other: str) -> None:
    for name in (slug(one), slug(other)):
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-~")
        assert 0 < len(name) <= 100
    if one != other and not (one.isascii() and other.isascii()):
        assert slug(one) != slug(other)


def test_what_was_not_measured_has_no_key() -> None:
    values = speed().as_json()
    assert set(values["loader"]) == {"images_per_s", "lowest", "highest"}
    assert set(values["recipes"]["kd"]["host"]) == {"us", "operators"}
    assert json.loads(json.dumps(values)) == values
