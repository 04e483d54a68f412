"""Terminal tables of how fast this machine is, and of what a step is made of."""

from __future__ import annotations

from typing import get_args

from rich import box
from rich.console import Group, RenderableType

from benchmark.records.speed import Phase, Repeats, Speed
from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording import speed as wording


def speed_table(speed: Speed) -> RenderableType:
    """Images/s of every part with their spread, the phases of a step, and what bounds it."""
    saved, care = wording.saving(speed), wording.unsettled(speed)
    return Group(
        words(wording.conditions(speed)),
        words(f"{speed.device_name}; {wording.machine(speed)}", style="dim"),
        _rates(speed),
        *([words(saved)] if saved else []),
        _phases(speed),
        _bounds(speed),
        words(wording.peaks(speed), style="dim"),
        *([words(care, style="yellow")] if care else []),
    )


def _rates(speed: Speed) -> Rows:
    table = _table("images/s", "median", "lowest", "highest", "of peak")
    loader = speed.loader
    table.add_row("loader", *_numbers(loader))
    if loader.uncached_images_per_s is not None and loader.cache_speedup is not None:
        label = f"loader without the cache, {wording.compared(1 / loader.cache_speedup)}"
        table.add_row(label, f"{loader.uncached_images_per_s:,.0f}")
    table.add_row("teacher", *_numbers(speed.teacher))
    for name, step in wording.steps(speed):
        table.add_row(name, *_numbers(step), wording.share(step.share_of_peak))
    return table


def _numbers(rate: Repeats) -> list[str]:
    return [f"{value:,.0f}" for value in (rate.images_per_s, rate.lowest, rate.highest)]


def _phases(speed: Speed) -> Rows:
    steps = list(wording.steps(speed))
    shown = [phase for phase in get_args(Phase) if any(phase in s.phases_ms for _, s in steps)]
    table = _table("ms of a step", *shown)
    for name, step in steps:
        parts = [step.phases_ms.get(phase) for phase in shown]
        table.add_row(name, *("" if part is None else wording.milliseconds(part) for part in parts))
    return table


def _bounds(speed: Speed) -> Rows:
    table = _table("ms of a step", "whole", "arithmetic", "memory", "host", "host starts")
    for name, step in wording.steps(speed):
        times = (
            1000 * speed.batch_size / step.images_per_s,
            step.floor.arithmetic_ms,
            step.floor.memory_ms,
            step.host.us / 1000,
        )
        table.add_row(name, *map(wording.milliseconds, times), wording.started(step.host))
    return table


def _table(first: str, *numbers: str) -> Rows:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(words(first), overflow="fold")
    for column in numbers:
        table.add_column(words(column), justify="right", overflow="fold")
    return table
