"""What a step costs the host: how many operators and kernels it starts, and how long that takes."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmark.records.speed import Host
from benchmark.work.speed.clock import Clock, Task

STEPS = 5
# aten::conv2d and the like, of any library; a graph that was compiled counts as one.
_OPERATOR = re.compile(r"(?!autograd::|torch::autograd::)\w+::\w|## Call CompiledFxGraph")
_LAUNCH = re.compile(r"(cuda|cu|hip)(LaunchKernel|LaunchCooperative|Memcpy|Memset|GraphLaunch)")
_GRAPH_LAUNCH = re.compile(r"(cuda|cu|hip)GraphLaunch")


def host_of(task: Task, clock: Clock) -> Host:
    """The host's part of a step; of times the least, as another process can only add to them.

    Args:
        task: one step at a time, warm.
        clock: of its device.
    """
    if clock.device.type != "cuda":
        traces = [_trace(task, clock) for _ in range(STEPS)]
        outside_us = (elapsed - sum(map(_us, operators)) for operators, _, elapsed in traces)
        return Host(us=max(0.0, min(outside_us)), operators=len(traces[0][0]))
    operators, events, _ = _trace(task, clock)
    return Host(
        us=1e6 * min(_seconds_to_issue(task, clock) for _ in range(STEPS)),
        operators=len(operators),
        launches=_count(_LAUNCH, events),
        graph_launches=_count(_GRAPH_LAUNCH, events),
    )


def _trace(task: Task, clock: Clock) -> tuple[list[Any], list[Any], float]:
    """The outermost operators of a step, all of the host's events, and the step's microseconds."""
    activities = [ProfilerActivity.CPU]
    if clock.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    clock.wait()
    with _silent(), profile(activities=activities) as trace:
        begun = time.perf_counter()
        task.step()
        elapsed = time.perf_counter() - begun
        clock.wait()
    # Kernels have names of C++, which look like those of operators.
    events = [event for event in trace.events() or () if event.device_type.name == "CPU"]
    return outermost_operators(events), events, 1e6 * elapsed


@contextmanager
def _silent() -> Iterator[None]:
    """The profiler's own library writes lines to the standard error that no setting turns off."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _us(event: Any) -> float:
    elapsed: float = event.time_range.elapsed_us()
    return elapsed


def outermost_operators(events: Iterable[Any]) -> list[Any]:
    """The operators of a trace that no other operator called."""
    return [event for event in events if _is_operator(event) and not _within_operator(event)]


def _within_operator(event: Any) -> bool:
    parent = event.cpu_parent
    while parent is not None:
        if _is_operator(parent):
            return True
        parent = parent.cpu_parent
    return False


def _is_operator(event: Any) -> bool:
    return _OPERATOR.match(event.name) is not None


def _count(pattern: re.Pattern[str], events: Iterable[Any]) -> int:
    return sum(pattern.match(event.name) is not None for event in events)


def _seconds_to_issue(task: Task, clock: Clock) -> float:
    clock.wait()
    begun = time.perf_counter()
    task.step()
    return time.perf_counter() - begun
