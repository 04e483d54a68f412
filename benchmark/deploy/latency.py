"""How long a trained network takes to answer, deployed in each of the usual ways.

All networks and ways take turns in rounds, each after a warm-up, so that what is slow for a while
is slow for all; what is told is the median of the rounds with the lowest and the highest.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.deploy import onnx_graph
from benchmark.deploy.formats import quiet
from benchmark.deploy.program import Program, examples
from benchmark.errors import BenchmarkError, first_line
from benchmark.events import Listener
from benchmark.work.environment import processor
from benchmark.work.rebuilding import Student
from benchmark.work.speed.clock import Clock, Task

BATCHES = (1, 32)
SECONDS = 1.0  # for which each is measured, in all rounds together
WAYS = ("eager", "compiled", "onnx")
Ask = Callable[[Tensor], object]


@dataclass(frozen=True)
class Time:
    """How long a batch takes, in milliseconds.

    Attributes:
        median_ms, lowest_ms, highest_ms: of the rounds.
        is_settled: whether the rate had settled before; of one that had not, expect another
            number the next time.
    """

    median_ms: float
    lowest_ms: float
    highest_ms: float
    is_settled: bool

    @classmethod
    def of(cls, rates: Sequence[float], batch: int, *, is_settled: bool) -> Time:
        """From images/s, one of each round."""
        times = sorted(1000 * batch / rate for rate in rates)
        return cls(statistics.median(times), times[0], times[-1], is_settled)


@dataclass
class Latency:
    """The latencies of one network.

    Attributes:
        student: that was measured.
        times: by way and batch size.
        left_out: ways that it cannot be deployed here, and why.
    """

    student: Student
    times: dict[str, dict[int, Time]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For machines, with what the record says of the same network."""
        record = self.student.record
        return {
            "cell": self.student.cell,
            "network": record.spec.network,
            "recipe": self.student.run.recipe_label,
            "top1": record.metrics.top1 if record.metrics else None,
            "parameters": record.cost.parameters if record.cost else None,
            "macs": record.cost.macs if record.cost else None,
            "image_size": self.student.pictures.size,
            "ways": {
                way: {
                    str(batch): {
                        "median_ms": time.median_ms,
                        "lowest_ms": time.lowest_ms,
                        "highest_ms": time.highest_ms,
                        "images_per_s": 1000 * batch / time.median_ms,
                        "settled": time.is_settled,
                    }
                    for batch, time in of_batch.items()
                }
                for way, of_batch in self.times.items()
            },
            "left_out": dict(self.left_out),
        }


def as_json(found: Sequence[Latency], device: torch.device) -> dict[str, Any]:
    """What was measured, and on what, for machines."""
    on_gpu = device.type == "cuda"
    conditions = {
        "device": torch.cuda.get_device_name(device) if on_gpu else processor(),
        "onnx_device": processor(),
        "threads": torch.get_num_threads(),
        "precision": "fp32",
        "torch": torch.__version__,
    }
    return {"conditions": conditions, "students": [one.as_json() for one in found]}


@torch.no_grad()
def measure(
    students: Sequence[Student],
    device: torch.device,
    *,
    ways: Sequence[str] = WAYS,
    batches: Sequence[int] = BATCHES,
    seconds: float = SECONDS,
    listener: Listener | None = None,
) -> list[Latency]:
    """How long the networks take for a batch of pixels that is on the device.

    Args:
        students: to be measured.
        device: on which; ONNX is measured on the CPU.
        ways: of those in ``WAYS``.
        batches: sizes.
        seconds: for which each is measured.
        listener: hears what is being done.
    """
    listener = listener or Listener()
    found = [Latency(student) for student in students]
    tasks: dict[tuple[int, str, int], Task] = {}
    for number, latency in enumerate(found):
        for way in ways:
            listener.note(f"preparing {latency.student.run.label}, {way}")
            try:
                ask = _way(way, latency.student, device)
                for batch in batches:
                    pixels = examples(latency.student.pictures.size, batch)
                    tasks[number, way, batch] = _task(ask, pixels, way, device)
                    with quiet():
                        tasks[number, way, batch].step()
            except (BenchmarkError, RuntimeError) as error:  # also what compilers raise
                latency.left_out[way] = first_line(error)
                for batch in batches:
                    tasks.pop((number, way, batch), None)
    listener.note(f"measuring {len(tasks)} times, about {2 * seconds * len(tasks):.0f} s")
    by_name = {str(key): task for key, task in tasks.items()}
    rates, unsettled = Clock(device, seconds).rounds(by_name)
    for (number, way, batch), name in zip(tasks, by_name, strict=True):
        time = Time.of(rates[name], batch, is_settled=name not in unsettled)
        found[number].times.setdefault(way, {})[batch] = time
    return found


def _task(ask: Ask, pixels: Tensor, way: str, device: torch.device) -> Task:
    """Asking of one batch, again and again."""
    if way != "onnx":
        pixels = pixels.to(device, memory_format=torch.channels_last)
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    batch = LoadedBatch(pixels, labels, labels, len(pixels), 1.0)
    return Task(itertools.repeat(batch), lambda loaded: ask(loaded.images))


def _way(way: str, student: Student, device: torch.device) -> Ask:
    """The network as it is deployed."""
    if way == "onnx":
        with quiet(), _folder() as folder:
            onnx_graph.write(student, folder)
            path = folder / onnx_graph.FILE
            return onnx_graph.session(path, threads=torch.get_num_threads())
    program = Program.of(student).to(device).to(memory_format=torch.channels_last)
    if way == "eager":
        return program
    compiled: Ask = torch.compile(program, dynamic=False)
    return compiled


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kdbench-latency-") as folder:
        yield Path(folder)
