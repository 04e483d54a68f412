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

from benchmark.cards.card import Protocol
from benchmark.data.loaders.batches import LoadedBatch, stable_seed
from benchmark.data.pictures import Pictures
from benchmark.errors import RecipeError
from benchmark.networks.catalogue import create_network
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.contract import Batch, Context, Recipe, Stage
from benchmark.training.stages import Span, spans_of


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
        pictures: what networks see.
        labels: (N,) int64, class of every training sample by position.
    """

    pictures: Pictures
    labels: Tensor


def make_network(job: Job, setting: Setting, *, load: bool = False) -> Network:
    """A job's network as its recipe wants it, with weights as a function of the seed.

    Equal networks start from equal weights under every recipe, so that methods are compared on
    the same draw.

    Args:
        job: names network, protocol and seed.
        setting: what the data say.
        load: trained weights will be loaded, so that published ones need not be fetched.

    Raises:
        NetworkError: it cannot be built, or its published weights cannot be had.
    """
    pictures, pretrained = setting.pictures, job.protocol.pretrained
    torch.manual_seed(stable_seed(job.seed, "network", job.network))
    network = create_network(
        job.network,
        classes=pictures.classes,
        image_size=pictures.shape,
        pretrained=pretrained and not load,
    )
    if pretrained:
        network.expect(pictures.mean, pictures.std)
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
    """A network and its recipe as one module, so that processes average all their gradients.

    Attributes:
        stage: the recipe's stage that it is in.
        trainable: all parameters that some stage may train.
    """

    network: Network
    recipe: Recipe

    def __init__(
        self, network: Network, recipe: Recipe, accelerator: Accelerator, stage: Stage
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.stage = stage
        self.maps = "maps" in recipe.info.needs
        self._accelerator = accelerator
        self.trainable = [p for p in self.parameters() if p.requires_grad]

    def enter(self, stage: Stage) -> list[nn.Parameter]:
        """Let the modules of a stage rest; returns the parameters that it trains."""
        self.stage = stage
        for parameter in self.trainable:
            parameter.requires_grad_(True)
        for module in stage.rests(self.network):
            module.requires_grad_(False)
        return [p for p in self.trainable if p.requires_grad]

    def wake(self) -> None:
        """Training mode for all but what rests."""
        self.train()
        for module in self.stage.rests(self.network):
            module.eval()

    def forward(self, batch: Batch, teacher: Outputs | None) -> dict[str, Tensor]:
        """The weighted loss terms of one batch, computed in float32."""
        with self._accelerator.autocast():
            student: Outputs = self.network(batch.images, maps=self.maps)
        return self.stage.terms(batch, student.float(), teacher)


def over_processes(lesson: Lesson, accelerator: Accelerator, *, partial: bool) -> nn.Module:
    """The lesson with its gradients averaged over all processes.

    Not ``accelerator.prepare``: buffers must stay each process's own while it trains. BatchNorm's
    statistics are shared before every evaluation, and state over the training set (a bank of 51 MB,
    say) is kept equal by ``gather``; sending either with every step would cost more than the step.

    Args:
        lesson: the module.
        accelerator: owns device and processes.
        partial: a step may leave parameters without a gradient, as a stage that learns from maps
            leaves layers behind the last one; they are searched for in every step.
    """
    if accelerator.num_processes == 1:
        return lesson
    known = inspect.signature(DistributedDataParallel).parameters
    newer = "forward_sync_buffers" in known  # its older name is deprecated in torch 2.15
    own: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
    devices = [accelerator.device] if accelerator.device.type == "cuda" else None
    return DistributedDataParallel(
        lesson, device_ids=devices, find_unused_parameters=partial, **own
    )


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
        self.spans = spans_of(job.recipe, job.protocol)
        network = make_network(job, setting)
        build_recipe(job, setting, network)
        self.lesson = Lesson(network, job.recipe, accelerator, self.spans[0].stage)
        self.lesson.to(accelerator.device).to(memory_format=torch.channels_last)
        self._enter(self.spans[0])
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
    def training_parameters(self) -> int:
        """Number of all that is trained, the recipe's own layers included."""
        return sum(p.numel() for p in self.lesson.trainable)

    @property
    def needs_teacher(self) -> bool:
        """Whether the recipe reads a teacher's outputs."""
        return "teacher" in self.job.roles

    def _enter(self, span: Span) -> None:
        """Begin a stage: an optimiser without a past, on what it trains."""
        protocol = self.job.protocol
        self.span = span
        trained = self.lesson.enter(span.stage)
        if not trained:
            raise RecipeError(
                f"recipe '{self.recipe.info.name}' trains nothing in its stage "
                f"'{span.stage.name}': everything rests."
            )
        self.optimiser = torch.optim.SGD(
            trained,
            lr=protocol.lr,
            momentum=protocol.momentum,
            nesterov=protocol.nesterov,
            weight_decay=protocol.weight_decay,
            fused=True,
        )
        self._forward = over_processes(self.lesson, self.accelerator, partial=not span.is_main)

    def start_epoch(self, epoch: int) -> None:
        """Be in the epoch's stage, in training mode, and forget the last epoch's sums."""
        for span in self.spans:
            if span.start == epoch and span is not self.span:
                self._enter(span)
        self.lesson.wake()
        self._sums, self._images = None, 0

    def step(self, loaded: LoadedBatch, teacher: Outputs | None, *, at: float, count: int) -> None:
        """One update.

        Args:
            loaded: this process's part of the global batch.
            teacher: its outputs on the batch, None for recipes without one.
            at: epochs done, with the share of the current one.
            count: number of the step in the whole training; with the seed it is the random state.
        """
        torch.manual_seed(stable_seed(self.job.seed, "step", count, self.accelerator.process_index))
        rate = self.span.rate(self.job.protocol, self.job.network, at)
        self.optimiser.param_groups[0]["lr"] = rate
        batch = Batch(loaded.images, loaded.labels, loaded.index, self.span.progress(at))
        terms = self._forward(batch, teacher if self.needs_teacher else None)
        loss = torch.stack([term.reshape(()) for term in terms.values()])
        total = loss.sum() * loaded.weight if loaded.weight != 1.0 else loss.sum()
        self.accelerator.backward(total)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._add(terms, loss.detach(), len(batch.labels) if loaded.weight > 0 else 0)

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
        return {
            "lesson": self.lesson.state_dict(),
            "stage": self.spans.index(self.span),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""
        self.lesson.load_state_dict(state["lesson"])
        if (span := self.spans[state["stage"]]) is not self.span:
            self._enter(span)
        self.optimiser.load_state_dict(state["optimiser"])
