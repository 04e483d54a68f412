"""What a step costs the host."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.work.speed.clock import Clock, Task
from benchmark.work.speed.host import _GRAPH_LAUNCH, _LAUNCH, _count, host_of, outermost_operators


def event(name: str, parent: Any = None) -> Any:
    return SimpleNamespace(name=name, cpu_parent=parent)


def task(work: Any) -> Task:
    batches: Any = itertools.repeat(SimpleNamespace(global_size=1))
    return Task(batches, work)


def test_operators_that_operators_call_are_not_counted() -> None:
    weights, images = torch.randn(4, 3, 3, 3, requires_grad=True), torch.randn(2, 3, 8, 8)

    def work(batch: object) -> None:
        torch.nn.functional.conv2d(images, weights).relu()

    host = host_of(task(work), Clock(torch.device("cpu"), 1.0))
    assert host.operators == 2
    assert host.us > 0
    assert host.launches is None


def test_the_profiler_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    host_of(task(lambda batch: torch.ones(2)), Clock(torch.device("cpu"), 1.0))
    assert capfd.readouterr() == ("", "")


def test_what_autograd_and_compiled_code_call_is_counted_once() -> None:
    node = event("autograd::engine::evaluate_function: AddmmBackward0")
    product = event("aten::mm", event("AddmmBackward0", node))
    region = event("Torch-Compiled Region: 0/0")
    graph = event("## Call CompiledFxGraph f2objij ##", region)
    inside = event("aten::add", graph)
    backward = event("## Call CompiledFxGraph f3 ##", event("CompiledFunctionBackward", node))
    events = [node, product, event("aten::t", product), region, graph, inside, backward]
    events.append(event("kdbench::bank"))
    assert [found.name for found in outermost_operators(events)] == [
        "aten::mm", graph.name, backward.name, "kdbench::bank",
    ]  # fmt: skip


def test_launches_are_those_of_the_runtime_and_of_the_driver() -> None:
    names = [
        "cudaLaunchKernel", "cuLaunchKernelEx", "cudaLaunchKernelExC", "cudaMemcpyAsync",
        "cudaMemsetAsync", "cudaGraphLaunch", "cudaStreamSynchronize", "cudaEventRecord",
        "aten::mm",
    ]  # fmt: skip
    events = [event(name) for name in names]
    assert _count(_LAUNCH, events) == 6
    assert _count(_GRAPH_LAUNCH, events) == 1


@pytest.mark.gpu
def test_on_a_gpu_launches_are_counted() -> None:
    numbers = torch.ones(8, device="cuda")
    host = host_of(task(lambda batch: numbers + 1), Clock(torch.device("cuda"), 1.0))
    assert host.operators == 1
    assert host.launches == 1
    assert host.graph_launches == 0
