"""What a machine gives at its best."""

from __future__ import annotations

import pytest
import torch

from benchmark.errors import UsageError
from benchmark.records.speed import Peak
from benchmark.work.speed import peaks

CPU = torch.device("cpu")


def test_the_peak_is_not_measured_on_sizes_that_would_take_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []
    measure = peaks._seconds_of_product

    def noted(a: torch.Tensor) -> float:
        tried.append(len(a))
        return measure(a)

    monkeypatch.setattr(peaks, "_seconds_of_product", noted)
    monkeypatch.setattr(peaks, "LONG_PRODUCT", 0.0)  # every product is a long one
    assert peaks.peak_gflops(CPU, "fp32") > 0
    assert set(tried) == {256}
    monkeypatch.setattr(peaks, "LONG_PRODUCT", 1e9)
    monkeypatch.setattr(peaks, "MATRIX_SIZES", (8, 16))
    peaks.peak_gflops(CPU, "bf16")
    assert set(tried) == {256, 8, 16}


def test_the_bandwidth_counts_what_is_read_and_what_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peaks, "COPIED_MB", {"cpu": 1})
    monkeypatch.setattr(peaks, "_seconds_of", lambda work: 1e-3)
    assert peaks.memory_gb_per_s(CPU) == pytest.approx(2 * 2**20 / 1e-3 / 1e9)


def test_of_two_measurements_the_better_counts_in_each() -> None:
    one = Peak(fp32_gflops=2.0, bf16_gflops=3.0, memory_gb_per_s=1.0)
    other = Peak(fp32_gflops=1.0, bf16_gflops=4.0, memory_gb_per_s=5.0)
    best = Peak(fp32_gflops=2.0, bf16_gflops=4.0, memory_gb_per_s=5.0)
    assert peaks.better(one, other) == best


def test_another_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="Choose fp32 or bf16"):
        peaks.peak_gflops(CPU, "fp8")
