"""Records that came with a clone: numbers that were not trained here.

A record is from elsewhere if git has it as it is and the folder of runs does not hold the weights
that it speaks of. What somebody trains here is not committed at first, and is known by its weights
when it is. The machine alone would not do: one's own cluster has several kinds, and a stranger may
have the same processor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from benchmark.git import Committed
from benchmark.records.schema import Record
from benchmark.records.store import Store

MOST = 2  # origins that are named; the others are counted
SHORT = 8  # figures of a commit


class Keeps(Protocol):
    """What is asked of the folder of runs."""

    def holds(self, identity: str, digest: str | None) -> bool:
        """Whether the very weights with this digest are there."""
        ...


class Elsewhere:
    """Tells of records whether they were trained here.

    Args:
        store: that they are in.
        kept: the folder of runs.
    """

    def __init__(self, store: Store, kept: Keeps) -> None:
        self._store, self._kept = store, kept
        self._committed = Committed(store.root)

    def __call__(self, record: Record) -> str:
        """Where a record is from, in words; empty if it is one's own."""
        if self._store.path_of(record.spec) not in self._committed:
            return ""
        return "" if self._kept.holds(record.identity, record.weights) else origin(record)


def origin(record: Record) -> str:
    """``commit 7de8b6be, 2026-11-24, AMD EPYC 7763``."""
    where = record.environment
    commit = f"commit {where.git_commit[:SHORT]}" if where.git_commit else "no commit"
    return f"{commit}, {record.finished[:10]}, {where.machine}"


def note(origins: Sequence[str]) -> list[str]:
    """A sentence on the cells that were recorded elsewhere; nothing if none was.

    Args:
        origins: where each cell of a choice was recorded; empty if here, or not at all.
    """
    counts = Counter(filter(None, origins))
    if not counts:
        return []
    number = counts.total()
    named = [f"{words} ({n})" if n < number else words for words, n in counts.most_common(MOST)]
    more = [f"{len(counts) - MOST} more"] if len(counts) > MOST else []
    was, them = ("was", "it") if number == 1 else ("were", "them")
    return [
        f"{number} of {len(origins)} cell{'s' if len(origins) != 1 else ''} {was} recorded "
        f"elsewhere: {'; '.join([*named, *more])}. 'kdbench run --own' trains {them} here."
    ]
