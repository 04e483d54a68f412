"""Two methods side by side: paired by seed within a pair of networks, and over all of these.

A *block* is one data set, protocol and pair. Within it the difference is paired by seed; over
blocks each counts once, whatever its number of seeds, because seeds of one block are no independent
evidence of how a method does elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmark.errors import UnknownName, UsageError
from benchmark.reports.board.cells import gain_of
from benchmark.reports.board.statistics import Difference, paired
from benchmark.reports.board.tables import Board, Cell, Column, Table

LEVEL = 0.05
PLACE = "dataset", "protocol", "evaluated_on", "teacher", "student", "method"
RESAMPLES = 2_000
SEED = 0  # equal records give equal intervals


@dataclass(frozen=True)
class Block:
    """Two methods on one data set, protocol and pair.

    Attributes:
        dataset, protocol, evaluated_on, teacher, student: where.
        method: which, where two folders are compared; empty where two methods are.
        first, second: the cells.
        difference: second minus first, paired by seed; None if no seed can be paired.
    """

    dataset: str
    protocol: str
    evaluated_on: str
    teacher: str
    student: str
    method: str
    first: Cell
    second: Cell
    difference: Difference | None

    @property
    def unpaired(self) -> int:
        """Seeds that one of them has a record of and that are in no pair."""
        seeds = self.first.records.keys() | self.second.records.keys()
        return len(seeds) - (self.difference.n if self.difference else 0)

    def as_json(self) -> dict[str, Any]:
        """As plain data; scores by seed."""
        return {
            **{name: getattr(self, name) for name in PLACE},
            "first": {str(seed): value for seed, value in self.first.by_seed.items()},
            "second": {str(seed): value for seed, value in self.second.by_seed.items()},
            "difference": None if self.difference is None else vars(self.difference),
            "unpaired": self.unpaired,
        }


@dataclass(frozen=True)
class Over:
    """What all blocks together say.

    Attributes:
        blocks: with a difference.
        mean: of the blocks' differences, each counted once, with its 95 % t-interval.
        better, worse: blocks in which the second has the higher, the lower mean.
        repeated: blocks in which both have several seeds.
        improvement: probability that a seed of the second is better than one of the first in the
            same block, ties half, averaged over the repeated blocks; with the 95 % interval of a
            bootstrap over the seeds of each block (Agarwal et al., arXiv:2108.13264). None without
            such blocks.
        p: two-sided Wilcoxon signed-rank test of the blocks' differences, exact; None without two.
        least_p: the lowest that so many blocks can give.
    """

    blocks: int
    mean: Difference
    better: int
    worse: int
    repeated: int
    improvement: tuple[float, float, float] | None
    p: float | None
    least_p: float

    def as_json(self) -> dict[str, Any]:
        """As plain data, with what can be concluded."""
        return {**asdict(self), "conclusions": list(self.conclusions())}

    def conclusions(self) -> Iterator[str]:
        """What can be said, and what cannot."""
        if self.least_p >= LEVEL:
            yield (
                f"{self.blocks} block{'s' * (self.blocks != 1)} cannot tell them apart without "
                "assuming a distribution: a two-sided signed-rank test gives p = "
                f"{self.least_p:.3g} at the least, and p < {LEVEL:g} needs 6 blocks."
            )
        elif self.p is not None and self.p >= LEVEL:
            yield f"Over blocks they are not told apart (signed-rank test, p = {self.p:.3g})."
        elif self.p is not None:
            yield f"Over blocks they are told apart (signed-rank test, p = {self.p:.3g})."
        if not self.repeated:
            yield "One seed a block says nothing of how much seeds differ."


def versus(board: Board, first: str, second: str) -> list[Block]:
    """Two methods, block by block.

    Args:
        board: of the records.
        first: label of one, as the tables have it.
        second: label of the other.

    Raises:
        UnknownName: no table has such a method.
        UsageError: they are one method, or no pair has both.
    """
    known = {label for _, column in _columns(board) for label in _cells(column)}
    for label in (first, second):
        if label not in known:
            stale = (
                f"Stale records are left out: {sum(board.stale.values())}." if board.stale else ""
            )
            raise UnknownName("method in these records", label, known, stale)
    if first == second:
        raise UsageError(f"'{first}' is one method: name two.")
    found = []
    for table, column in _columns(board):
        cells = _cells(column)
        if first in cells and second in cells:
            found.append(_block(table, column, "", cells[first], cells[second]))
    if not found:
        raise UsageError(
            f"'{first}' and '{second}' have no data set, protocol and pair in common. 'kdbench "
            "leaderboard' shows who has what."
        )
    return found


def versus_folders(first: Board, second: Board, methods: Collection[str] = ()) -> list[Block]:
    """The same methods in two folders of records, block by block.

    Args:
        first: of the records of one.
        second: of the records of the other.
        methods: labels; empty for all that both have.

    Raises:
        UsageError: they have nothing in common.
    """
    theirs = {_key(table, column): column for table, column in _columns(second)}
    found = []
    for table, column in _columns(first):
        other = theirs.get(_key(table, column))
        if other is None:
            continue
        mine, same = _cells(column), _cells(other)
        found += [
            _block(table, column, label, mine[label], same[label])
            for label in mine
            if label in same and (not methods or label in methods)
        ]
    if not found:
        raise UsageError("the two folders have no method, data set, protocol and pair in common.")
    return found


def over(blocks: Sequence[Block]) -> Over | None:
    """What blocks say together; None if none of them has a difference."""
    differences = [block.difference for block in blocks if block.difference is not None]
    means = [difference.mean for difference in differences]
    mean = paired(dict(enumerate(means)), dict.fromkeys(range(len(means)), 0.0))
    if mean is None:
        return None
    sign = blocks[0].first.metric.sign
    several = [min(len(block.first.by_seed), len(block.second.by_seed)) > 1 for block in blocks]
    repeated = [block for block, has in zip(blocks, several, strict=True) if has]
    return Over(
        blocks=len(means),
        mean=mean,
        better=sum(sign * value > 0 for value in means),
        worse=sum(sign * value < 0 for value in means),
        repeated=len(repeated),
        improvement=improvement(repeated),
        p=wilcoxon(means),
        least_p=2.0 ** (1 - len(means)),
    )


def wilcoxon(differences: Sequence[float]) -> float | None:
    """P of the two-sided signed-rank test; None without two differences that are not 0."""
    values = [value for value in differences if value]
    if len(values) < 2:
        return None
    from scipy import stats  # half a second to import

    return float(stats.wilcoxon(np.array(values)).pvalue)  # exact for up to 50 without ties


def improvement(blocks: Sequence[Block]) -> tuple[float, float, float] | None:
    """Probability of improvement with its interval, see ``Over``."""
    samples = [_samples(block) for block in blocks]
    if not samples:
        return None
    point = float(np.mean([_above(x, y) for x, y in samples]))
    draw = np.random.default_rng(SEED)
    means = [
        np.mean([_above(draw.choice(x, len(x)), draw.choice(y, len(y))) for x, y in samples])
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return point, float(low), float(high)


def _above(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the pairs of which the second is higher, ties half."""
    difference = second[:, None] - first[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def _samples(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all seeds, by which more is better."""
    sign = block.first.metric.sign
    first, second = block.first.by_seed, block.second.by_seed
    return sign * np.array(list(first.values())), sign * np.array(list(second.values()))


def _columns(board: Board) -> Iterator[tuple[Table, Column]]:
    for table in board.tables:
        for column in table.columns:
            yield table, column


def _cells(column: Column) -> Mapping[str, Cell]:
    """The cells of a column, its student alone among them."""
    alone = {column.alone.method: column.alone} if column.alone else {}
    return {**alone, **column.cells}


def _key(table: Table, column: Column) -> tuple[str, ...]:
    where = table.dataset, table.protocol, table.evaluated_on
    return *where, column.teacher, column.student, column.mark


def _block(table: Table, column: Column, method: str, first: Cell, second: Cell) -> Block:
    return Block(
        table.dataset,
        table.protocol,
        table.evaluated_on,
        column.teacher,
        column.student,
        method,
        first,
        second,
        gain_of(second, first),
    )
