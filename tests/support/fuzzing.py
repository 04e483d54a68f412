"""How long the fuzzers search: a moment in the suite, as long as one likes in the long form."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = "KDBENCH_TORTURE_EXAMPLES"
"""Environment variable with the number of examples of every fuzzer."""


def examples(usual: int) -> int:
    """How many examples: the usual number, or that of the long form."""
    return int(os.environ.get(EXAMPLES, usual))


fuzzed = settings(
    max_examples=examples(200),
    deadline=None,
    derandomize=EXAMPLES not in os.environ,  # the suite gives the same answer each time
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
