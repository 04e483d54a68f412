"""Mean and spread over seeds, and differences paired by seed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from benchmark.reports.board.statistics import paired, summarise

VALUES = (60.3, 61.7, 59.2, 60.0)


def test_mean_and_sample_deviation():
    summary = summarise(VALUES)
    assert summary.n == 4
    assert summary.mean == pytest.approx(np.mean(VALUES))
    assert summary.std == pytest.approx(np.std(VALUES, ddof=1))


def test_one_value_has_no_deviation():
    assert summarise([60.0]).std is None
    assert summarise([]) is None


def test_the_interval_is_that_of_the_paired_t_test():
    other = (60.0, 60.9, 59.3, 58.8)
    difference = paired(dict(enumerate(VALUES)), dict(enumerate(other)))
    interval = scipy.stats.ttest_rel(VALUES, other).confidence_interval(0.95)
    assert difference.n == 4
    assert (difference.low, difference.high) == pytest.approx(tuple(interval))


def test_only_common_seeds_are_paired():
    assert paired({0: 61.0, 1: 62.0}, {1: 60.0, 2: 0.0}).mean == 2.0
    assert paired({0: 61.0, 1: 62.0}, {1: 60.0, 2: 0.0}).low is None
    assert paired({0: 61.0}, {1: 60.0}) is None
