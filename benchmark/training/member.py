"""One training within a group: its learner, what it has behind it, what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from benchmark.networks.cost import count_parameters
from benchmark.networks.inference import inference_copy
from benchmark.records.history import EpochRow
from benchmark.records.schema import Cost, Metrics
from benchmark.training.cost import macs_of, peak_memory_mb
from benchmark.training.ending import Finished
from benchmark.training.job import Job
from benchmark.training.learner import Learner


@dataclass
class Progress:
    """What a run has behind it; the part of its checkpoint that is not tensors.

    Attributes:
        epochs: finished ones.
        history: one row an epoch.
        train_seconds: its share of the group's time.
        group_seconds: wall time of the group's training.
        evaluation_seconds: its share of the evaluations.
        group: identities of all runs that it trained beside.
    """

    epochs: int = 0
    history: list[EpochRow] = field(default_factory=list)
    train_seconds: float = 0.0
    group_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    group: list[str] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """The progress as plain data, for a checkpoint."""
        return asdict(self)

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Progress:
        """The progress that ``state_dict`` gave."""
        return cls(**{**state, "history": [EpochRow(**row) for row in state["history"]]})


@dataclass
class Member:
    """A learner in its group.

    Attributes:
        lead: epochs of its recipe's stages before the protocol's own.
    """

    job: Job
    learner: Learner
    progress: Progress
    lead: int

    @property
    def epochs(self) -> int:
        """All that it has to train."""
        return self.lead + self.job.protocol.epochs

    def predictor(self) -> Callable[[Tensor], Tensor]:
        """Images (B, 3, H, W) to logits (B, K) as the learner would be deployed, in float32."""
        self.learner.share_buffers()
        self.learner.lesson.eval()
        copy, predict = inference_copy(self.learner.result), self.learner.recipe.predict
        return lambda images: predict(copy(images).float())

    def finished(self, metrics: Metrics, image_size: tuple[int, int]) -> Finished:
        """How it ended, with the scores of its last epoch."""
        return Finished(
            metrics,
            self._cost(image_size),
            tuple(self.progress.history),
            # Off the device: endings outlive their group, and the next one needs the memory.
            {name: value.cpu() for name, value in self.learner.result.state_dict().items()},
        )

    def _cost(self, image_size: tuple[int, int]) -> Cost:
        """Sizes and times, at the end of its training."""
        learner, progress = self.learner, self.progress
        _, *beside = learner.deployed()
        return Cost(
            parameters=count_parameters(learner.deployed()),
            macs=macs_of(learner.result, beside, image_size),
            training_parameters=learner.training_parameters,
            recipe_parameters=count_parameters([learner.recipe]),
            train_seconds=progress.train_seconds,
            evaluation_seconds=progress.evaluation_seconds,
            group_seconds=progress.group_seconds,
            images_per_s=progress.history[-1].images_per_s,
            peak_memory_mb=peak_memory_mb(learner.accelerator.device),
            extra_epochs=self.lead,
            group=tuple(progress.group),
            forwards_per_image=learner.forwards_per_image,
            backwards_per_image=learner.backwards_per_image,
        )
