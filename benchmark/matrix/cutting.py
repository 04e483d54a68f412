"""Groups in parts: where slots would stay idle, and where a group needs more memory than there is.

Members apart cost more arithmetic than side by side, since each part runs the teacher, but less
time than a worker that has nothing to do. What members compute does not depend on how they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from benchmark.matrix.plan import Group
from benchmark.matrix.run import AnyRun

# What groups cost beside each other, in any unit.
Weigh = Callable[[Sequence[Sequence[AnyRun]]], Sequence[float]]


def by_number(groups: Sequence[Sequence[AnyRun]]) -> list[float]:
    """The cost of groups of which nothing is known: their members."""
    return [float(len(group)) for group in groups]


def shared_out(groups: Sequence[Group], slots: int, weigh: Weigh = by_number) -> list[Group]:
    """The groups, the dearest halved until every slot has one or all have one member.

    Args:
        groups: that could begin now.
        slots: for how many groups there is room.
        weigh: tells what groups cost.
    """
    parts = list(groups)
    while len(parts) < slots and (several := [part for part in parts if len(part) > 1]):
        weights = weigh(several)
        dearest = several[max(range(len(several)), key=lambda at: weights[at])]
        at = parts.index(dearest)
        parts[at : at + 1] = [tuple(half) for half in halves(dearest, weigh)]
    return parts


def halves(runs: Sequence[AnyRun], weigh: Weigh = by_number) -> list[list[AnyRun]]:
    """The runs in two parts, of which the dearer is as cheap as it can be; in their order."""
    if len(runs) < 2:
        return [list(runs)] if runs else []
    cuts = range(len(runs) - 1, 0, -1)  # of equals, the one with more runs in the first part
    weights = weigh([part for at in cuts for part in (runs[:at], runs[at:])])
    dearer = {at: max(weights[2 * n : 2 * n + 2]) for n, at in enumerate(cuts)}
    best = min(cuts, key=dearer.__getitem__)
    return [list(runs[:best]), list(runs[best:])]


def fitting(
    groups: Iterable[Group], fits: Callable[[Group], bool], weigh: Weigh = by_number
) -> Iterator[Group]:
    """The groups, those that do not fit halved until all parts do or have one member.

    Args:
        groups: that could begin now.
        fits: whether there is memory for a group, as far as it is known.
        weigh: tells what groups cost.
    """
    for group in groups:
        if len(group) == 1 or fits(group):
            yield group
        else:
            yield from fitting(map(tuple, halves(group, weigh)), fits, weigh)
