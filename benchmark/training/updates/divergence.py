"""When numbers ran away: which and where, and whether a trained network may be kept at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from benchmark.training.ending import Failed, diverged
from benchmark.training.updates.terms import TermSums

NAMED = 3  # weights that a message names


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


def not_finite(deployed: Iterable[nn.Module], epoch: int) -> Failed | None:
    """How a member ended whose finished weights hold NaN or infinity; None for all others.

    Parameters and the statistics of normalisations are looked at. Predictions may be finite all the
    same, as not every weight has a part in them; other buffers may hold infinity on purpose.
    """
    named = [pair for module in deployed for pair in _values(module)]
    if not named:
        return None
    finite = torch.stack([value.isfinite().all() for _, value in named]).tolist()
    bad = [name for (name, _), good in zip(named, finite, strict=True) if not good]
    if not bad:
        return None
    more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return diverged(epoch, f"weights are not finite at the end: {', '.join(bad[:NAMED])}{more}")


def _values(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    for name, part in module.named_modules():
        if isinstance(part, _NormBase):
            for kind, value in part.named_buffers(recurse=False):
                yield f"{name}.{kind}".lstrip("."), value
