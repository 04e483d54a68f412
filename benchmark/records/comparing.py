"""Whether a run that was trained or evaluated again gives what its record says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.records.attestations import Agreement, Compared, measured
from benchmark.records.schema import Environment, Record

POINTS = 2.0  # of top-1, where no second seed tells how far apart two trainings are
SPREADS = 2.0  # deviations of the seeds within which a second training lies in 19 of 20
ENGINE = ("platform", "device", "processes", "threads", "precision")  # of an environment
ARITHMETIC = ("torch", "torchvision", "numpy", "albumentations", "timm")  # packages
TOLD = ("top1", "nll")  # what is compared where not every digit is


@dataclass(frozen=True)
class Comparison:
    """A record beside the same run, trained or evaluated again.

    Attributes:
        metrics: what both have, by name, with how far apart the two may be.
        agreement: how near they are; None if they do not agree.
        basis: on what that rests, for a person.
    """

    metrics: Mapping[str, Compared]
    agreement: Agreement | None
    basis: str


def compared(
    recorded: Mapping[str, float],
    again: Mapping[str, float],
    *,
    same_engine: bool,
    seeds: Sequence[Record] = (),
) -> Comparison:
    """Compare the measured values of a record with those of a second training.

    On the same engine a training is a function of its seed: every digit must be equal. On another
    one it is another draw, which differs as seeds do.

    Args:
        recorded: values of the record, see ``measured``.
        again: of the second training.
        same_engine: whether both were computed by processors and packages of one kind.
        seeds: records of the cell's other seeds, and this one.
    """
    both = {name: (recorded[name], again[name]) for name in recorded if name in again}
    if all(one == other for one, other in both.values()):
        exact = {n: Compared(recorded=a, again=b, tolerance=0.0) for n, (a, b) in both.items()}
        return Comparison(exact, "bit for bit", "equal in every digit")
    if same_engine:
        exact = {n: Compared(recorded=a, again=b, tolerance=0.0) for n, (a, b) in both.items()}
        return Comparison(exact, None, "on the same kind of engine every digit must be equal")
    spreads = {name: _spread(name, seeds) for name in TOLD}
    if None not in spreads.values():
        tolerances = {name: SPREADS * (spread or 0.0) for name, spread in spreads.items()}
        agreement: Agreement = "within the spread of the seeds"
        basis = f"another engine: within {SPREADS:g} deviations of {len(seeds)} seeds"
    else:
        tolerances, agreement = {"top1": POINTS}, "within a tolerance"
        basis = f"another engine and no other seed: within {POINTS:g} points of top-1"
    near = {
        name: Compared(recorded=one, again=other, tolerance=tolerances[name])
        for name, (one, other) in both.items()
        if name in tolerances
    }
    agrees = all(value.agrees for value in near.values())
    return Comparison(near, agreement if agrees else None, basis)


def same_engine(one: Environment, other: Environment) -> bool:
    """Whether two environments are of one kind, as far as they tell."""
    if None not in (one.processor, other.processor) and one.machine != other.machine:
        return False
    return all(getattr(one, name) == getattr(other, name) for name in ENGINE) and all(
        one.packages.get(name) == other.packages.get(name) for name in ARITHMETIC
    )


def evaluated(recorded: Mapping[str, float], again: Mapping[str, float], images: int) -> Comparison:
    """Compare the measured values of a record with those of its weights, evaluated again.

    Another processor rounds otherwise, so that a prediction that was undecided may turn: one in a
    thousand, and at least one.

    Args:
        recorded: values of the record.
        again: of the evaluation.
        images: that were evaluated.
    """
    both = {name: (recorded[name], again[name]) for name in again if name in recorded}
    turned = 100 * max(1.0, images / 1000) / images * 1.0001  # six digits are written
    tolerances = dict.fromkeys(both, turned) | {"nll": 1e-3 * max(1.0, recorded["nll"])}
    # Of one class with few images, a single prediction is a larger share; so is a bin's.
    tolerances |= {"mean_per_class": 5 * turned, "ece": 5 * turned}
    metrics = {
        name: Compared(recorded=one, again=other, tolerance=tolerances[name])
        for name, (one, other) in both.items()
    }
    if all(one == other for one, other in both.values()):
        return Comparison(metrics, "bit for bit", "equal in every digit")
    agrees = all(value.agrees for value in metrics.values())
    basis = f"within {turned:.2g} points: a prediction in a thousand may turn"
    return Comparison(metrics, "within a tolerance" if agrees else None, basis)


def _spread(name: str, seeds: Sequence[Record]) -> float | None:
    """Sample standard deviation of a metric; None with fewer than two seeds."""
    values = [found[name] for record in seeds if name in (found := measured(record))]
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
