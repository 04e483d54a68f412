"""The examination after an epoch: all members of a group on the same batches of one split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor

from benchmark.data.loaders.batches import LoadedBatch, stable_seed
from benchmark.records.schema import Metrics
from benchmark.training.examining.evaluation import Tally, predictions
from benchmark.training.job import Job
from benchmark.training.member import Member
from benchmark.training.supply import Supply
from benchmark.training.teaching import Teachers
from benchmark.training.walls.guard import Guard
from benchmark.training.walls.randomness import seed_all
from benchmark.training.walls.shared import Shared


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
        guard: Guard,
        broken_off: Callable[[], bool] = lambda: False,
    ) -> Mapping[str, Metrics | None] | None:
        """Metrics by identity; None where the predictions are not finite.

        A member whose prediction raises has none: ``guard`` lets it leave.

        Args:
            members: who is scored.
            guard: gives them their turns.
            broken_off: whether to stop; asked before every batch. Then there are no metrics.
        """
        tallies: dict[str, Tally] = {}
        predictors: dict[str, tuple[Job, Callable[[Tensor], Tensor]]] = {}
        for member in members:
            with guard.turn(member.job):
                predictors[member.job.identity] = member.job, member.predictor()
                tallies[member.job.identity] = self._tally(member.job)
        guard.place = "its evaluation"
        with torch.no_grad():
            for number, loaded in enumerate(self.loader.epoch(0)):
                if broken_off():
                    return None
                if loaded.weight == 0:
                    continue
                shared = Shared(loaded, partial(self._batch, number), thorough=number == 0)
                for identity, (job, predict) in list(predictors.items()):
                    turn = guard.reading(job, shared)
                    with turn as batch:
                        seed_all(stable_seed(job.seed, "predict", number))
                        logits = predict(batch.images).float()
                        tallies[identity].add(logits, batch.labels, batch.index)
                    if turn.fell:
                        del predictors[identity], tallies[identity]
        return {
            identity: tally.metrics(self.accelerator, self.supply.split)
            for identity, tally in tallies.items()
        }

    def _batch(self, number: int) -> LoadedBatch:
        return next(self.loader.epoch(0, first=number))

    def _tally(self, job: Job) -> Tally:
        teacher = job.roles.get("teacher")
        reference = self._predicted.get(id(teacher)) if teacher is not None else None
        return Tally(self.supply.data.pictures.classes, self.accelerator.device, reference)
