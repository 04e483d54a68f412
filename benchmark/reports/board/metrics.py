"""What a record is judged by: each metric is a value that knows how to read itself from a record.

A new metric is one line in ``METRICS``, or one ``Metric(…)`` in a program or a report format of
one's own: the board aggregates, compares and ranks any of them. Top-1 of the last epoch is the
headline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmark.records.schema import Cost, Metrics, Record, RoleRecord
from benchmark.registry import Registry


def _says_nothing(role: RoleRecord) -> float | None:
    return None


@dataclass(frozen=True)
class Metric:
    """One number of a record.

    Attributes:
        name: short and without spaces, as in a record or a column of a file.
        unit: ``%``, ``nats``, ``s`` or the like; empty for a count.
        better: which of two is the better one.
        of: the number of a record; None where it has none, as a failed run.
        title: how a table calls it; empty for the name.
        of_role: the number of a run that a record builds on, where the record itself tells it.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    of: Callable[[Record], float | None]
    title: str = ""
    of_role: Callable[[RoleRecord], float | None] = _says_nothing

    @property
    def label(self) -> str:
        """How a table calls it."""
        return self.title or self.name

    @property
    def sign(self) -> int:
        """1 where more is better, else -1: times this, more is better."""
        return 1 if self.better == "higher" else -1


def scored(of: Callable[[Metrics], float | None]) -> Callable[[Record], float | None]:
    """Read a number from a record's metrics; None where there are none."""
    return lambda record: None if record.metrics is None else of(record.metrics)


def spent(of: Callable[[Cost], float | None]) -> Callable[[Record], float | None]:
    """Read a number from a record's cost; None where there is none."""
    return lambda record: None if record.cost is None else of(record.cost)


TOP1 = Metric(
    "top1", "%", "higher", scored(lambda m: m.top1), "top-1", of_role=lambda role: role.top1
)
PARAMETERS = Metric("parameters", "", "lower", spent(lambda c: c.parameters))
MACS = Metric("macs", "", "lower", spent(lambda c: c.macs), "MACs")

METRICS: Registry[Metric] = Registry("metric", "See docs/read-a-record.md for all of them.")
for _metric in (
    TOP1,
    Metric("top5", "%", "higher", scored(lambda m: m.top5), "top-5"),
    Metric("mean_per_class", "%", "higher", scored(lambda m: m.mean_per_class), "per class"),
    Metric("nll", "nats", "lower", scored(lambda m: m.nll), "NLL"),
    Metric("ece", "%", "lower", scored(lambda m: m.ece), "ECE"),
    Metric("agreement", "%", "higher", scored(lambda m: m.agreement)),
    PARAMETERS,
    MACS,
    Metric("training_parameters", "", "lower", spent(lambda c: c.training_parameters)),
    Metric("train_seconds", "s", "lower", spent(lambda c: c.train_seconds)),
    Metric("images_per_s", "images/s", "higher", spent(lambda c: c.images_per_s)),
    Metric("peak_memory_mb", "MB", "lower", spent(lambda c: c.peak_memory_mb)),
    Metric("forwards_per_image", "", "lower", spent(lambda c: c.forwards_per_image)),
    Metric("backwards_per_image", "", "lower", spent(lambda c: c.backwards_per_image)),
):
    METRICS.add(_metric.name, _metric, __file__)
