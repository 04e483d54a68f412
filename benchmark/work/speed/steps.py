"""Learners that train side by side, built and driven as a group does, without its bookkeeping."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from accelerate import Accelerator

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.networks.outputs import Network
from benchmark.training.job import Job, Setting
from benchmark.training.learner import Learner
from benchmark.training.precision import dtype_of
from benchmark.training.steps.programs import Programs
from benchmark.training.supply import batch_of
from benchmark.training.teaching import Teachers


class Steps:
    """The steps of learners that see the same batches. How a step is made is decided here alone.

    Args:
        jobs: of one protocol.
        setting: what the data say.
        accelerator: owns device and precision.
        programs: compile the step; None makes it as it is written.

    Attributes:
        learners, teachers: the two sides of a step.
        learned: called after each learner's part of a step.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        setting: Setting,
        accelerator: Accelerator,
        programs: Programs | None = None,
    ) -> None:
        self._protocol, self._classes = jobs[0].protocol, setting.pictures.classes
        self.learners = [Learner(job, setting, accelerator, programs=programs) for job in jobs]
        self.teachers = teachers_of(
            [job.roles[role] for job in jobs for role in job.heard],
            accelerator,
            needs={need for job in jobs for need in job.recipe.info.needs},
            programs=programs,
        )
        for learner in self.learners:
            learner.start_epoch(0)  # the protocol's own stage
        self.learned: Callable[[], None] = lambda: None
        self._counter = itertools.count()

    def step(self, loaded: LoadedBatch) -> None:
        """What a group does with a batch."""
        number = next(self._counter)
        self.teachers.next_batch()
        batch = batch_of(loaded, self._protocol, classes=self._classes, seed=0, count=number)
        for learner in self.learners:
            learner.step(batch, self.teachers, weight=loaded.weight, at=0.0, count=number)
            self.learned()


def teachers_of(
    networks: Sequence[Network],
    accelerator: Accelerator,
    *,
    needs: set[str],
    programs: Programs | None = None,
) -> Teachers:
    """Teachers as a group has them."""
    dtype, device = dtype_of(accelerator), accelerator.device
    return Teachers(networks, device=device, dtype=dtype, needs=needs, programs=programs)
