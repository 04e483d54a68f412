"""When numbers ran away: which, and where."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.training.ending import Failed, diverged
from benchmark.training.updates.terms import TermSums


def ran_away(terms: TermSums, bad: Sequence[str], epoch: int, steps: int) -> Failed:
    """How a member ended whose loss was not finite in an epoch.

    Args:
        terms: of the epoch, at its end.
        bad: names of those that are not finite.
        epoch: from 1.
        steps: of the epoch.
    """
    reason = f"loss term {', '.join(bad)} is not finite"
    if (found := terms.first_bad(steps)) is not None:
        step, values = found
        at = ", ".join(f"{name} {value:.6g}" for name, value in values.items())
        reason += f" since epoch {epoch}, step {step} of {steps}: {at}"
    return diverged(epoch, reason)
