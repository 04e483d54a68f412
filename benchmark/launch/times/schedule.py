"""When the groups of a plan are done, by workers that take the first one that is ready."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from benchmark.matrix.plan import Group


def span(groups: Sequence[tuple[Group, float]], workers: int, running: int = 0) -> float:
    """Seconds until all groups are done, each by one worker behind those that it builds on.

    Args:
        groups: with the seconds of each, in the order in which they are begun.
        workers: that take the first group that is ready.
        running: how many of the first ones have a worker already.
    """
    maker = {run.identity: number for number, (runs, _) in enumerate(groups) for run in runs}
    needs = [
        {maker[role.identity] for run in runs for role in run.roles.values()
         if role.identity in maker} - {number}
        for number, (runs, _) in enumerate(groups)
    ]  # fmt: skip
    wanted_by: dict[int, list[int]] = {}
    for number, makers in enumerate(needs):
        for one in makers:
            wanted_by.setdefault(one, []).append(number)
    ends = [(groups[number][1], number) for number in range(running)]
    heapq.heapify(ends)
    ready = [number for number in range(running, len(groups)) if not needs[number]]
    now = 0.0
    while ready or ends:
        while ready and len(ends) < max(workers, 1):
            number = heapq.heappop(ready)
            heapq.heappush(ends, (now + groups[number][1], number))
        now, ended = heapq.heappop(ends)
        for number in wanted_by.get(ended, ()):
            needs[number].discard(ended)
            if not needs[number]:
                heapq.heappush(ready, number)
    return now
