"""One training within a group: its learner, what it has behind it, what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.data.loaders.batches import stable_seed
from benchmark.data.splits import DataSet
from benchmark.networks.cost import count_parameters
from benchmark.networks.inference import inference_copy
from benchmark.records.history import EpochRow
from benchmark.records.schema import Cost, Engine, Metrics
from benchmark.training.cost import macs_of, peak_memory_mb
from benchmark.training.deployed import deployed_layers, shown
from benchmark.training.ending import Failed, Finished, diverged
from benchmark.training.job import Job
from benchmark.training.learner import Learner
from benchmark.training.precision import not_finite
from benchmark.training.teaching import Said
from benchmark.training.updates.divergence import ran_away
from benchmark.training.walls.randomness import seed_all


@dataclass
class Progress:
    """What a run has behind it; the part of its checkpoint that is not tensors.

    Attributes:
        epochs: finished ones.
        history: one row an epoch.
        epoch_seconds: wall time of the group's training in the epoch that is not finished yet.
        train_seconds: its share of the group's time.
        group_seconds: wall time of the group's training.
        evaluation_seconds: its share of the evaluations.
        own_seconds: of the group's time, its own steps and its share of what is no one's.
        group: identities of all runs that it trained beside.
        earlier: other engines than today's that trained a part of it.
        answers: of its group's teachers that were asked for, and
        answers_read: those that were read from kept files.
        is_rounded: whether some of them were rounded to fp16.
    """

    epochs: int = 0
    history: list[EpochRow] = field(default_factory=list)
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0
    group_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    own_seconds: float = 0.0
    group: list[str] = field(default_factory=list)
    earlier: list[Engine] = field(default_factory=list)
    answers: int = 0
    answers_read: int = 0
    is_rounded: bool = False

    def spend(self, seconds: float, *, sharing: int) -> None:
        """Note time of the group's training, which so many members shared."""
        self.epoch_seconds += seconds
        self.group_seconds += seconds
        self.train_seconds += seconds / sharing

    def close(self, terms: Mapping[str, float], images: int) -> None:
        """Note what an epoch of so many images gave."""
        self.epochs += 1
        seconds = self.epoch_seconds
        self.history.append(EpochRow(self.epochs, terms, seconds, images / seconds))
        self.epoch_seconds = 0.0

    def examine(self, metrics: Metrics | None, seconds: float) -> None:
        """Note what the last epoch's examination gave, unless it gave nothing, and took."""
        self.evaluation_seconds += seconds
        if metrics is not None:
            self.history[-1] = self.history[-1].evaluated(metrics)

    def reopen(self) -> None:
        """Take back ``close``: the epoch is not evaluated yet."""
        self.epochs -= 1
        self.epoch_seconds = self.history.pop().seconds

    def goes_on(self, *, before: Engine, now: Engine) -> None:
        """Note the engine that trained it until here, unless it is that of today."""
        engines = dict.fromkeys([*self.earlier, before])
        self.earlier = [engine for engine in engines if engine != now]

    def state_dict(self) -> dict[str, Any]:
        """The progress as plain data, for a checkpoint."""
        return asdict(self) | {"earlier": [engine.model_dump() for engine in self.earlier]}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Progress:
        """The progress that ``state_dict`` gave."""
        history = [EpochRow(**row) for row in state["history"]]
        earlier = [Engine(**engine) for engine in state["earlier"]]
        return cls(**{**state, "history": history, "earlier": earlier})


@dataclass
class Member:
    """A learner in its group.

    Attributes:
        lead: epochs of its recipe's stages before the protocol's own.
        photographs: by whom they are cropped and coloured, see ``Loader.photographs``.
        within: what it needs to go on within the epoch that it was stopped in; None at its begin.
    """

    job: Job
    learner: Learner
    progress: Progress
    lead: int
    photographs: Literal["device"] | None = None
    within: Mapping[str, Any] | None = None

    @property
    def epochs(self) -> int:
        """All that it has to train."""
        return self.lead + self.job.protocol.epochs

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch, or go on within it."""
        self.learner.start_epoch(epoch)
        if self.within is not None:
            self.learner.go_on_within(self.within)
            self.within = None

    def spend(self, seconds: float, *, sharing: int, own_seconds: float, said: Said) -> None:
        """Note time of the group's training, and how its teachers' answers came about.

        Args:
            seconds: of the group.
            sharing: how many members shared them.
            own_seconds: all that were its own until now.
            said: the answers since the last note; they count if it heard any.
        """
        self.progress.spend(seconds, sharing=sharing)
        self.progress.own_seconds = own_seconds
        if self.job.hears_of_batches:
            self.progress.answers += said.asked
            self.progress.answers_read += said.read
            self.progress.is_rounded |= said.rounded

    def stands_beside(self, jobs: Iterable[Job]) -> None:
        """Note all jobs of its group."""
        others = {other.identity for other in jobs if other is not self.job}
        self.progress.group = sorted(others | set(self.progress.group))

    def close_epoch(self, images: int, steps: int) -> Failed | None:
        """Note what an epoch of so many images gave; how it ended if the numbers ran away."""
        terms = self.learner.terms.means()
        if bad := [name for name, value in terms.items() if not math.isfinite(value)]:
            return ran_away(self.learner.terms, bad, self.progress.epochs + 1, steps)
        self.progress.close(terms, images)
        return None

    def predictor(self) -> Callable[[Tensor], Tensor]:
        """Images (B, 3, H, W) to logits (B, K) as the learner would be deployed, in float32."""
        self.learner.share_buffers()
        self.learner.lesson.eval()
        copy, predict = inference_copy(self.learner.result), self.learner.recipe.predict
        return lambda images: predict(copy(images).float())

    def finished(self, metrics: Metrics, data: DataSet) -> Finished | Failed:
        """How it ended, with the scores of its last epoch: not well if a weight is not finite."""
        size = data.pictures.shape
        # Off the device: endings outlive their group, and the next one needs the memory.
        weights = {name: value.cpu() for name, value in self.learner.result.state_dict().items()}
        _, *beside = self.learner.deployed()
        layers = {
            name: value.cpu().clone()  # a recipe's layers may share their memory
            for name, value in deployed_layers(self.learner.recipe).items()
        }
        held = [weights, *(module.state_dict() for module in beside)]
        if odd := [name for values in held for name in not_finite(values)]:
            return diverged(self.progress.epochs, f"'{odd[0]}' of its weights is not finite")
        return Finished(
            metrics,
            self._cost(size),
            tuple(self.progress.history),
            weights,
            {self.job.role_identities[role]: by for role, by in self.job.taught_by.items()},
            layers,
            data.class_names,
            self._said(size),
        )

    @torch.no_grad()
    def _said(self, size: tuple[int, int]) -> Tensor:
        """What it says of the images that every network is asked of, (2, K) on the CPU."""
        predict, device = self.predictor(), self.learner.accelerator.device
        seed_all(stable_seed(self.job.seed, "predict", 0))
        return predict(shown(size).to(device)).float().cpu()

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
            photographs=self.photographs,
            group=tuple(progress.group),
            earlier=tuple(progress.earlier) or None,
            teacher_outputs_read=progress.answers_read / progress.answers
            if progress.answers_read
            else None,
            teacher_outputs="fp16" if progress.is_rounded else None,
            forwards_per_image=learner.forwards_per_image,
            backwards_per_image=learner.backwards_per_image,
            compiled=True if learner.is_compiled else None,
        )
