"""The examination after an epoch: all members of a group on the same batches of one split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from benchmark.records.schema import Metrics
from benchmark.training.examining.evaluation import Tally, predictions
from benchmark.training.job import Job
from benchmark.training.member import Member
from benchmark.training.supply import Supply
from benchmark.training.teaching import Teachers

Guard = Callable[[Job], AbstractContextManager[None]]


class Examination:
    """Scores members on a split, in float32, as they would be deployed.

    Args:
        supply: of the evaluated images.
        teachers: in float32; what they predict is what agreement is measured with.
    """

    def __init__(self, supply: Supply, teachers: Teachers) -> None:
        self.supply, self.accelerator = supply, supply.accelerator
        self.loader = supply.examination()
        self._predicted = {
            network: predictions(
                teacher,
                self.loader,
                images=len(supply.evaluated),
                device=self.accelerator.device,
            )
            for network, teacher in teachers.by_network.items()
        }

    def of(
        self,
        members: Iterable[Member],
        guarding: Guard,
        broken_off: Callable[[], bool] = lambda: False,
    ) -> Mapping[str, Metrics | None] | None:
        """Metrics by identity; None where the predictions are not finite.

        A member whose prediction raises has none: ``guarding`` takes its error.

        Args:
            members: who is scored.
            guarding: takes a member's error.
            broken_off: whether to stop; asked before every batch. Then there are no metrics.
        """
        tallies: dict[str, Tally] = {}
        predictors: list[tuple[Job, Callable[[Tensor], Tensor]]] = []
        for member in members:
            with guarding(member.job):
                predictors.append((member.job, member.predictor()))
                tallies[member.job.identity] = self._tally(member.job)
        with torch.no_grad():
            for batch in self.loader.epoch(0):
                if broken_off():
                    return None
                if batch.weight == 0:
                    continue
                for job, predict in predictors:
                    if job.identity not in tallies:
                        continue
                    tally = tallies.pop(job.identity)
                    with guarding(job):
                        tally.add(predict(batch.images).float(), batch.labels, batch.index)
                        tallies[job.identity] = tally
        return {
            identity: tally.metrics(self.accelerator, self.supply.split)
            for identity, tally in tallies.items()
        }

    def _tally(self, job: Job) -> Tally:
        teacher = job.roles.get("teacher")
        reference = self._predicted.get(id(teacher)) if teacher is not None else None
        return Tally(self.supply.data.pictures.classes, self.accelerator.device, reference)
