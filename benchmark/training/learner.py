"""One network that minimises one recipe: its step, its prediction, its state."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from benchmark.data.batches import stable_seed
from benchmark.data.card import Protocol
from benchmark.errors import RecipeError
from benchmark.networks.catalogue import create_network
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe import Batch, Context, Recipe
from benchmark.training.schedule import learning_rate


@dataclass(frozen=True)
class Job:
    """What is to be trained.

    Attributes:
        identity: of the run.
        label: short name for a person.
        network: name of the architecture.
        recipe: with its settings, not yet built.
        protocol: how long and how.
        seed: of initial weights, order and augmentation.
        roles: the trained networks that it builds on.
    """

    identity: str
    label: str
    network: str
    recipe: Recipe
    protocol: Protocol
    seed: int
    roles: Mapping[str, Network] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What the data say that a learner needs.

    Attributes:
        classes: number of classes.
        image_size: height and width in pixels.
        labels: (N,) int64, class of every training sample by position.
    """

    classes: int
    image_size: tuple[int, int]
    labels: Tensor


def make_network(job: Job, setting: Setting) -> Network:
    """A job's network as its recipe wants it, with weights as a function of the seed.

    Equal networks start from equal weights under every recipe, so that methods are compared on
    the same draw.
    """
    torch.manual_seed(stable_seed(job.seed, "network", job.network))
    network = create_network(job.network, classes=setting.classes, image_size=setting.image_size)
    torch.manual_seed(stable_seed(job.seed, "head", job.network))
    return job.recipe.adapt(network, job.roles)


def build_recipe(job: Job, setting: Setting, network: Network) -> None:
    """Make the recipe's own layers."""
    torch.manual_seed(stable_seed(job.seed, "recipe", job.network))
    teacher = job.roles.get("teacher")
    job.recipe.build(
        Context(
            student=network.shape,
            teacher=teacher.shape if teacher is not None else None,
            labels=setting.labels,
            roles=job.roles,
        )
    )


class Lesson(nn.Module):
    """A network and its recipe as one module, so that processes average all their gradients."""

    network: Network
    recipe: Recipe

    def __init__(self, network: Network, recipe: Recipe, accelerator: Accelerator) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.maps = "maps" in recipe.info.needs
        self._accelerator = accelerator

    def forward(self, batch: Batch, teacher: Outputs | None) -> dict[str, Tensor]:
        """The weighted loss terms of one batch, computed in float32."""
        with self._accelerator.autocast():
            student: Outputs = self.network(batch.images, maps=self.maps)
        terms: dict[str, Tensor] = self.recipe(batch, student.float(), teacher)
        return terms


def over_processes(lesson: Lesson, accelerator: Accelerator) -> nn.Module:
    """The lesson with its gradients averaged over all processes.

    Not ``accelerator.prepare``: buffers must stay each process's own while it trains. BatchNorm's
    statistics are shared before every evaluation, and state over the training set (a bank of 51 MB,
    say) is kept equal by ``gather``; sending either with every step would cost more than the step.
    """
    if accelerator.num_processes == 1:
        return lesson
    known = inspect.signature(DistributedDataParallel).parameters
    newer = "forward_sync_buffers" in known  # its older name is deprecated in torch 2.15
    own: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
    devices = [accelerator.device] if accelerator.device.type == "cuda" else None
    return DistributedDataParallel(lesson, device_ids=devices, **own)


class Learner:
    """A network in training.

    Args:
        job: what to train.
        setting: what the data say.
        accelerator: owns device, precision and processes.
    """

    def __init__(self, job: Job, setting: Setting, accelerator: Accelerator) -> None:
        self.job = job
        self.accelerator = accelerator
        network = make_network(job, setting)
        build_recipe(job, setting, network)
        self.lesson = Lesson(network, job.recipe, accelerator).to(accelerator.device)
        self.lesson.to(memory_format=torch.channels_last)
        self.trained = [p for p in self.lesson.parameters() if p.requires_grad]
        self.optimiser = torch.optim.SGD(
            self.trained,
            lr=job.protocol.lr,
            momentum=job.protocol.momentum,
            nesterov=job.protocol.nesterov,
            weight_decay=job.protocol.weight_decay,
            fused=True,
        )
        self._forward = over_processes(self.lesson, accelerator)
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None
        self._images = 0

    @property
    def network(self) -> Network:
        """The network itself."""
        return self.lesson.network

    @property
    def recipe(self) -> Recipe:
        """The recipe with its layers."""
        return self.lesson.recipe

    @property
    def needs_teacher(self) -> bool:
        """Whether the recipe reads a teacher's outputs."""
        return "teacher" in self.job.roles

    def start_epoch(self) -> None:
        """Switch to training mode and forget the last epoch's sums."""
        self.lesson.train()
        self._sums, self._images = None, 0

    def step(
        self, batch: Batch, teacher: Outputs | None, *, at: float, count: int, weight: float
    ) -> None:
        """One update.

        Args:
            batch: this process's part of the global batch.
            teacher: its outputs on the batch, None for recipes without one.
            at: epochs done, with the share of the current one.
            count: number of the step in the whole training; with the seed it is the random state.
            weight: this process's share of the global batch times the number of processes.
        """
        torch.manual_seed(stable_seed(self.job.seed, "step", count, self.accelerator.process_index))
        self.optimiser.param_groups[0]["lr"] = learning_rate(
            self.job.protocol, self.job.network, at
        )
        terms = self._forward(batch, teacher if self.needs_teacher else None)
        loss = torch.stack([term.reshape(()) for term in terms.values()])
        self.accelerator.backward(loss.sum() * weight if weight != 1.0 else loss.sum())
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._add(terms, loss.detach(), batch.labels.shape[0] if weight > 0 else 0)

    def _add(self, terms: Mapping[str, Tensor], values: Tensor, images: int) -> None:
        names = tuple(terms)
        if self._sums is None:
            if not names:
                raise RecipeError(f"recipe '{self.recipe.info.name}' returned no loss term")
            self._names, self._sums = names, torch.zeros_like(values, dtype=torch.float64)
        elif names != self._names:
            raise RecipeError(
                f"recipe '{self.recipe.info.name}' returned the terms {names} after {self._names}"
            )
        self._sums.add_(values, alpha=images)
        self._images += images

    def mean_terms(self) -> dict[str, float]:
        """Mean of every weighted loss term over the epoch and over the processes."""
        if self._sums is None:
            return {}
        packed = torch.cat([self._sums, self._sums.new_tensor([self._images])])
        *sums, images = self.accelerator.reduce(packed, reduction="sum").tolist()
        return {name: value / images for name, value in zip(self._names, sums, strict=True)}

    def deployed(self) -> Iterator[nn.Module]:
        """What stays when the training is over."""
        yield self.network
        yield from self.recipe.deployed()

    def share_buffers(self) -> None:
        """Give all processes the main process's BatchNorm statistics before an evaluation."""
        if self.accelerator.num_processes > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def state_dict(self) -> dict[str, Any]:
        """All that a continued training needs."""
        return {"lesson": self.lesson.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""
        self.lesson.load_state_dict(state["lesson"])
        self.optimiser.load_state_dict(state["optimiser"])
