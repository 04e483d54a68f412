"""Latencies are measured in turns, and what cannot be deployed is told."""

from __future__ import annotations

import pytest
import torch

from benchmark.deploy import latency
from benchmark.deploy.latency import Time, measure
from benchmark.errors import UsageError
from tests.deploy.conftest import MakeStudent

CPU = torch.device("cpu")


def test_a_time_is_that_of_a_batch() -> None:
    time = Time.of([100.0, 50.0, 200.0], 10, is_settled=True)
    assert (time.median_ms, time.lowest_ms, time.highest_ms) == (100.0, 50.0, 200.0)


def test_several_networks_have_their_times_beside_what_is_recorded(
    make_student: MakeStudent,
) -> None:
    students = [make_student().student, make_student("th-kd[form=paper]").student]
    found = measure(students, CPU, ways=["eager"], batches=[1, 3], seconds=0.01)
    for student, one in zip(students, found, strict=True):
        told = one.as_json()
        assert (told["cell"], told["top1"], told["macs"]) == (student.cell, 50.0, 2)
        assert set(told["ways"]["eager"]) == {"1", "3"}
        for time in told["ways"]["eager"].values():
            assert 0 < time["lowest_ms"] <= time["median_ms"] <= time["highest_ms"]


def test_a_way_that_is_not_to_be_had_is_left_out(
    make_student: MakeStudent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise UsageError("ONNX needs a package that is not here: onnx.\nInstall it.")

    monkeypatch.setattr(latency.onnx_graph, "write", refuse)
    [found] = measure(
        [make_student().student], CPU, ways=["eager", "onnx"], batches=[1], seconds=0.01
    )
    assert list(found.times) == ["eager"]
    assert found.left_out == {"onnx": "ONNX needs a package that is not here: onnx."}


@pytest.mark.slow
def test_all_ways_are_measured(make_student: MakeStudent) -> None:
    [found] = measure([make_student().student], CPU, batches=[2], seconds=0.01)
    assert (list(found.times), found.left_out) == (["eager", "compiled", "onnx"], {})
