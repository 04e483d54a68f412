"""Made measurements of speed; nothing is measured."""

from __future__ import annotations

import datetime
from typing import Any

from benchmark.records.speed import (
    Floor,
    GroupSpeed,
    Host,
    LoaderSpeed,
    Peak,
    Repeats,
    Speed,
    StepSpeed,
)
from tests.records.made_records import ENVIRONMENT

STEP: dict[str, Any] = {
    "images_per_s": 1000.0,
    "lowest": 950.0,
    "highest": 1020.0,
    "share_of_peak": 0.456,
    "phases_ms": {"load": 0.5, "teacher": 20.0, "student": 15.0, "backward": 27.5, "update": 1.0},
    "floor": Floor(arithmetic_ms=29.2, memory_ms=7.0, share_of_bandwidth=0.11),
    "host": Host(us=2500.0, operators=212.0),
}


def speed(**changes: Any) -> Speed:
    """A measurement of ``vanilla`` and ``kd`` on a processor."""
    values: dict[str, Any] = {
        "dataset": "cifar100",
        "pair": "resnet20:resnet8",
        "protocol": "paper",
        "batch_size": 64,
        "precision": "fp32",
        "device": "cpu",
        "threads": 2,
        "rounds": 5,
        "seconds": 10.0,
        "unsettled": (),
        "peak": Peak(fp32_gflops=110.0, bf16_gflops=480.0, memory_gb_per_s=20.6),
        "loader": LoaderSpeed(images_per_s=120_000.0, lowest=110_000.0, highest=130_000.0),
        "teacher": Repeats(images_per_s=3000.0, lowest=2900.0, highest=3100.0),
        "recipes": {"vanilla": StepSpeed(**STEP), "kd": StepSpeed(**STEP)},
        "group": GroupSpeed(
            **STEP,
            recipes=("vanilla", "kd"),
            speedup_over_apart=1.35,
            lowest_speedup=1.3,
            highest_speedup=1.4,
        ),
        "processor": "Made Processor 3000",
        "cores": 2,
        "environment": ENVIRONMENT,
        "measured": datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
    }
    return Speed(**(values | changes))
