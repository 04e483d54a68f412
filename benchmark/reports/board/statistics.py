"""The statistics of a cell: mean and spread over seeds, and differences paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """A metric over seeds, in its unit.

    Attributes:
        n: number of values, at least one.
        mean: of the values.
        std: sample standard deviation; None for one value.
    """

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Difference:
    """Mean of the differences of two methods at equal seeds, in the unit of the metric.

    Attributes:
        n: number of seeds that both have.
        mean: first minus second.
        low, high: the 95 % t-interval; None for one seed.
    """

    n: int
    mean: float
    low: float | None
    high: float | None


def summarise(values: Iterable[float]) -> Summary | None:
    """Mean and sample standard deviation; None without values."""
    known = sorted(values)
    if not known:
        return None
    return Summary(
        n=len(known),
        mean=statistics.fmean(known),
        std=statistics.stdev(known) if len(known) > 1 else None,
    )


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """Compare two methods on the seeds that both have; None if there is no such seed.

    Seeds share initial weights and the order of the samples, so the difference at one seed is less
    noisy than the difference of two means.

    Args:
        first: a metric by seed.
        second: the same of the method that it is compared with.
    """
    differences = summarise(first[seed] - second[seed] for seed in first.keys() & second.keys())
    if differences is None:
        return None
    n, mean, std = differences.n, differences.mean, differences.std
    if std is None:
        return Difference(n, mean, None, None)
    # Half a second to import, and scipy.stats takes longer: only where there is an interval.
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(n)
    return Difference(n, mean, mean - half, mean + half)
