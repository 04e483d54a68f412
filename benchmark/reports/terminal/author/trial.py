"""How a minute with a recipe went, for its author."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType

from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording.numbers import NOTHING, size

TOLD = "embedding", "logits", "stages", "features", "class_maps"  # the parts of Outputs


def trial_tables(trial: Mapping[str, Any], *, debug: bool = False) -> Iterator[RenderableType]:
    """What forward gets, what its terms do step by step, and the recipe beside its rivals.

    Args:
        trial: as ``benchmark.proving.trial.Trial.as_json`` has it.
        debug: with the whole traceback of what was raised.
    """
    mine = trial["tried"][-1]
    yield words(f"What forward() gets ({trial['pair']}, {trial['dataset']})")
    yield _shapes(mine["shapes"])
    if mine["seen"]:
        yield words(
            f"Loss terms of {mine['recipe']}, and in brackets the norm of each one's gradient by "
            "the student"
        )
        yield _steps(mine["seen"])
    if mine["error"]:
        yield from _error(mine["error"], debug=debug)
    yield words(
        f"Beside others: one seed, {trial['protocol']}, {trial['steps']} steps; on "
        f"{trial['images']} images held out"
    )
    yield _beside(trial["tried"])
    yield words(_caution(trial), style="dim")
    for remark in trial["remarks"]:
        yield words(f"! {remark}.", style="yellow")


def _shapes(shapes: Mapping[str, Mapping[str, Sequence[Sequence[int]]]]) -> Rows:
    table = _table("", *(part for part in TOLD if any(part in of for of in shapes.values())))
    for network, parts in shapes.items():
        told = [
            "\n".join("×".join(map(str, shape)) for shape in parts.get(part, ()))
            for part in TOLD
            if any(part in of for of in shapes.values())
        ]
        table.add_row(network, *told)
    return table


def _steps(seen: Sequence[Mapping[str, Any]]) -> Rows:
    terms = list(dict.fromkeys(name for one in seen for name in one["terms"]))
    has_own = any(one["own"] is not None for one in seen)
    table = _table("step", *terms, "whole", *(["own layers"] if has_own else []))
    for one in seen:
        told = [
            f"{_short(one['terms'][name])} ({_short(one['gradients'][name])})"
            if name in one["terms"]
            else NOTHING
            for name in terms
        ]
        whole = f"{_short(sum(one['terms'].values()))} ({_short(one['student'])})"
        own = [NOTHING if one["own"] is None else f"({_short(one['own'])})"] if has_own else []
        table.add_row(str(one["step"]), *told, whole, *own)
    return table


def _beside(tried: Sequence[Mapping[str, Any]]) -> Rows:
    table = _table("", "top-1 %", "loss", "images/s", "step's cost", "own params")
    costs = {one["recipe"]: one["images_per_s"] for one in tried if one["images_per_s"]}
    base = costs.get("kd")
    for one in tried:
        rate = one["images_per_s"]
        last = one["seen"][-1]["terms"].values() if one["seen"] else None
        table.add_row(
            one["recipe"],
            NOTHING if one["top1"] is None else f"{one['top1']:.1f}",
            NOTHING if last is None else _short(sum(last)),
            NOTHING if rate is None else f"{rate:,.0f}",
            f"{base / rate:.2f} × kd" if base and rate else NOTHING,
            size(one["own_parameters"]),
        )
    return table


def _error(error: Mapping[str, Any], *, debug: bool) -> Iterator[RenderableType]:
    yield words(
        f"✗ {error['kind']}: {error['message']} ({error['where']}, epoch {error['epoch']})",
        style="bold red",
    )
    if error["traceback"]:
        yield words(error["traceback"] if debug else "--debug shows the whole traceback.")


def _caution(trial: Mapping[str, Any]) -> str:
    """How far apart two accuracies are by chance alone, from the number of images."""
    shares = [one["top1"] / 100 for one in trial["tried"] if one["top1"] is not None]
    widest = max((p * (1 - p) for p in shares), default=0.25)
    points = 100 * 1.96 * math.sqrt(2 * widest / trial["images"]) if trial["images"] else 100.0
    return (
        f"Differences below {points:.0f} points are chance; a comparison needs 'kdbench run' with "
        "several seeds. Nothing was recorded."
    )


def _short(value: float) -> str:
    return f"{value:.3g}"


def _table(first: str, *columns: str) -> Rows:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(words(first), overflow="fold")
    for column in columns:
        table.add_column(words(column), justify="right", overflow="fold")
    return table
