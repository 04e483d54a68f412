"""What the networks of a step need at the least."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from benchmark.networks.cost import count_macs, count_parameters
from benchmark.networks.creation import create_network
from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Network
from benchmark.records.speed import Peak
from benchmark.work.speed.floors import Needs, needs_of, traffic

SIZE = (32, 32)


def network(name: str) -> Network:
    return create_network(name, classes=10, image_size=SIZE, pretrained=False, drop_path=0.0)


def test_a_layer_reads_what_it_is_given_and_writes_what_it_gives() -> None:
    layers: Any = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
    )
    assert traffic(layers, (8, 8)) == (3 * 64 + 64, 4 * 16 + 10)


def test_what_is_folded_away_is_no_layer() -> None:
    student = network("resnet8")
    read, written = traffic(student, SIZE)
    folded = traffic(inference_copy(student), SIZE)
    # Each BatchNorm reads and writes what its convolution wrote.
    head = 10
    assert written - head == 2 * (folded[1] - head)
    assert read - folded[0] == folded[1] - head


def test_a_step_needs_its_students_and_each_teacher_once() -> None:
    def needs(students: int, teachers: int, batch_size: int = 8, precision: str = "fp32") -> Needs:
        return needs_of(
            [student] * students, [teacher] * teachers,
            image_size=SIZE, batch_size=batch_size, precision=precision,
        )  # fmt: skip

    student, teacher = network("resnet8"), network("resnet14")
    own, other = count_macs(student, SIZE), count_macs(teacher, SIZE)
    assert needs(1, 0).operations == 6 * 8 * own
    assert needs(2, 1).operations == 8 * (12 * own + 2 * other)
    assert needs(1, 1).memory_bytes - needs(1, 0).memory_bytes == needs(0, 1).memory_bytes
    weights = 8 * 4 * count_parameters([student])
    activations = needs(1, 0).memory_bytes - weights
    assert needs(1, 0, batch_size=16).memory_bytes == weights + 2 * activations
    assert needs(1, 0, precision="bf16").memory_bytes == weights + activations / 2


def test_the_floor_is_the_time_at_the_machines_best() -> None:
    peak = Peak(fp32_gflops=100.0, bf16_gflops=200.0, memory_gb_per_s=20.0)
    needs = Needs(operations=1e9, memory_bytes=1e8)
    floor = needs.floor(peak, "fp32", step_ms=20.0)
    assert floor.arithmetic_ms == pytest.approx(10.0)
    assert floor.memory_ms == pytest.approx(5.0)
    assert floor.share_of_bandwidth == pytest.approx(0.25)
    assert needs.floor(peak, "bf16", step_ms=20.0).arithmetic_ms == pytest.approx(5.0)
