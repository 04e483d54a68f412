"""The parts of a step, by marks between them that real steps leave while they are measured.

The training loop knows nothing of it: the marks hang on hooks of torch and on the teachers' door,
for a few steps, and are taken away. A mark costs a microsecond, on a GPU a recorded event, which
is read when the step is over: nothing waits for the device in between. Every moment of a step lies
between two marks, so the parts add up to the step. What is compiled into one leaves no mark inside:
a compiled network and its loss are one part, the student's.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, get_args

import torch
from torch import Tensor

from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Batch, Heard, Terms
from benchmark.records.speed import Phase
from benchmark.training.learner import Learner
from benchmark.training.teaching import Teachers
from benchmark.work.speed.clock import Task
from benchmark.work.speed.steps import Steps


class Marks:
    """Moments on the device's clock, each at the end of a part.

    Args:
        device: whose work is timed.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._ends: list[tuple[Phase | None, Any]] = []

    def begin(self) -> None:
        """A step begins."""
        self._ends = [(None, self._now())]

    def end(self, phase: Phase) -> None:
        """What was done since the last mark was of this part."""
        self._ends.append((phase, self._now()))

    def milliseconds(self) -> dict[Phase, float]:
        """The time of each part of the step that just ended."""
        if self._on_gpu:
            torch.cuda.synchronize()
        parts: dict[Phase, float] = defaultdict(float)
        for (_, begun), (phase, ended) in zip(self._ends, self._ends[1:], strict=False):
            if phase is not None:
                parts[phase] += self._between(begun, ended)
        return dict(parts)

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        make: Any = torch.cuda.Event  # which has no types
        event = make(enable_timing=True)
        event.record()
        return event

    def _between(self, begun: Any, ended: Any) -> float:
        elapsed: float = begun.elapsed_time(ended) if self._on_gpu else 1000 * (ended - begun)
        return elapsed


class MarkedTeachers(Teachers):
    """The same teachers, with a mark before and after each answer."""

    def __init__(self, teachers: Teachers, marks: Marks) -> None:
        vars(self).update(vars(teachers))  # not made anew: their networks are not copied
        self._marks = marks

    def ask(self, network: Network, images: Tensor) -> Outputs:
        """See ``Teachers.ask``."""
        self._marks.end("view")
        outputs = super().ask(network, images)
        self._marks.end("teacher")
        return outputs


class Phases:
    """The parts of some steps, taken a few steps at a time.

    Args:
        steps: whose step is measured.
        task: that makes it.
        device: whose work is timed.
    """

    def __init__(self, steps: Steps, task: Task, device: torch.device) -> None:
        self._steps, self._task, self._marks = steps, task, Marks(device)
        self._parts = defaultdict[Phase, list[float]](list)

    def take(self, seconds: float) -> None:
        """Measure steps for some seconds, one at the least."""
        marks, begun = self._marks, time.perf_counter()
        with _marked(self._steps, marks):
            for done in itertools.count():
                if done and time.perf_counter() - begun > seconds:
                    break
                marks.begin()
                batch = next(self._task.batches)
                marks.end("load")
                self._task.work(batch)
                for phase, elapsed in marks.milliseconds().items():
                    self._parts[phase].append(elapsed)

    def medians(self) -> dict[Phase, float]:
        """Milliseconds of each part, in their order: of each the median over all steps."""
        return {p: median(self._parts[p]) for p in get_args(Phase) if p in self._parts}


@contextmanager
def _marked(steps: Steps, marks: Marks) -> Iterator[None]:
    """Let the steps leave marks."""
    teachers = steps.teachers
    with ExitStack() as stack:
        for learner in steps.learners:
            for handle in _hang(learner, marks):
                stack.callback(handle.remove)
        steps.teachers = MarkedTeachers(teachers, marks)
        steps.learned = lambda: marks.end("update")
        try:
            yield
        finally:
            steps.teachers, steps.learned = teachers, lambda: None


def _hang(learner: Learner, marks: Marks) -> Iterator[Any]:
    """Hooks of one learner's step: where its lesson, its network and its update begin and end."""
    yield learner.optimiser.register_step_pre_hook(lambda *given: marks.end("backward"))
    if learner.programs is not None:
        yield _Around(learner, marks)
        return
    inside = False

    def end(phase: Phase) -> Callable[..., None]:
        return lambda *given: marks.end(phase)

    def enter(*given: object) -> None:
        nonlocal inside
        marks.end("view")
        inside = True

    def leave(*given: object) -> None:
        nonlocal inside
        marks.end("loss")
        inside = False

    yield learner.lesson.register_forward_pre_hook(enter)
    yield learner.lesson.register_forward_hook(leave)
    # Recipes may run the network again, within their loss or to make a view of a batch.
    yield learner.network.register_forward_pre_hook(
        lambda *given: marks.end("loss" if inside else "view")
    )
    yield learner.network.register_forward_hook(end("student"))


class _Around:
    """Marks before and after a learner's program, into which no hook may be put."""

    def __init__(self, learner: Learner, marks: Marks) -> None:
        program = self._program = learner.forward
        self._learner = learner

        def marked(batch: Batch, heard: Heard) -> Terms:
            marks.end("view")
            terms = program(batch, heard)
            marks.end("student")
            return terms

        learner.forward = marked

    def remove(self) -> None:
        """Leave the program as it was."""
        self._learner.forward = self._program
