"""Two methods, or two folders, side by side on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType

from benchmark.records.schema import Cost
from benchmark.reports.board.tables import Cell
from benchmark.reports.board.versus import Block, Over
from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording import numbers
from benchmark.reports.wording.counts import counted


def versus_tables(
    blocks: Sequence[Block], over: Over | None, names: tuple[str, str]
) -> Iterator[RenderableType]:
    """A row for every block, what they cost, and what all of them say.

    Args:
        blocks: in their order.
        over: what they say together.
        names: of the first and the second.
    """
    metric = blocks[0].first.metric
    yield words(f"{names[1]} − {names[0]}, {metric.label}, paired by seed")
    yield _differences(blocks, names)
    if unpaired := sum(block.unpaired for block in blocks):
        yield words(
            f"{counted(unpaired, 'seed')} in no pair: failed, missing, or computed otherwise.",
            style="yellow",
        )
    yield from _costs(blocks, names)
    if over is not None:
        yield from map(words, _together(over, names))


def _differences(blocks: Sequence[Block], names: tuple[str, str]) -> Rows:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(words("data set, protocol, pair"), overflow="fold")
    for head in (*names, "difference", "seeds"):
        table.add_column(words(head), justify="right", overflow="fold")
    for block in blocks:
        difference = block.difference
        table.add_row(
            _where(block),
            _score(block.first),
            _score(block.second),
            numbers.NOTHING if difference is None else numbers.points(difference),
            str(difference.n if difference else 0),
        )
    return table


def _costs(blocks: Sequence[Block], names: tuple[str, str]) -> Iterator[RenderableType]:
    """What an image costs in training, and what is deployed: in the last block that tells."""
    told = [(block, _cost(block.first), _cost(block.second)) for block in blocks]
    known = [(block, [mine, theirs]) for block, mine, theirs in told if mine and theirs]
    if not known:
        return
    block, costs = known[-1]
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(words(""), overflow="fold")
    for head in ("forwards", "backwards", "own params", "params", "MACs"):
        table.add_column(words(head), justify="right", overflow="fold")
    for name, cost in zip(names, costs, strict=True):
        table.add_row(
            name,
            _short(cost.forwards_per_image),
            _short(cost.backwards_per_image),
            numbers.size(cost.recipe_parameters),
            numbers.size(cost.parameters),
            numbers.size(cost.macs),
        )
    yield words(f"Cost, {_where(block)}")
    yield table


def _cost(cell: Cell) -> Cost | None:
    costs = [record.cost for record in cell.records.values() if record.cost]
    return costs[-1] if costs else None


def _together(over: Over, names: tuple[str, str]) -> Iterator[str]:
    yield (
        f"Over {counted(over.blocks, 'block')}: {numbers.points(over.mean)} on average (a "
        f"t-interval); {names[1]} is better in {over.better}, worse in {over.worse}."
    )
    if over.improvement is not None:
        point, low, high = over.improvement
        yield (
            f"A seed of {names[1]} is better than one of {names[0]} with probability {point:.2f} "
            f"[{low:.2f}, {high:.2f}], in {counted(over.repeated, 'block')} of several seeds."
        )
    yield from over.conclusions()


def _where(block: Block) -> str:
    held_out = "" if block.evaluated_on == "test" else f" (on {block.evaluated_on})"
    method = f"{block.method}: " if block.method else ""
    return f"{method}{block.dataset}, {block.protocol}{held_out}, {block.teacher} → {block.student}"


def _score(cell: Cell) -> str:
    return numbers.NOTHING if cell.score is None else numbers.spread(cell.score)


def _short(value: float | None) -> str:
    return numbers.NOTHING if value is None else f"{value:.3g}"
