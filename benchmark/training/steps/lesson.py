"""A network and its recipe as one module, and that module over several processes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Batch, Heard
from benchmark.recipe.contract import Recipe
from benchmark.recipe.stage import Stage


class Lesson(nn.Module):
    """A network and its recipe as one module, so that processes average all their gradients.

    Args:
        network: that is trained.
        recipe: of its loss.
        autocast: a context in which the network computes.
        stage: the recipe's stage that it begins in.

    Attributes:
        stage: the recipe's stage that it is in.
        trainable: all parameters that some stage may train.
    """

    network: Network
    recipe: Recipe

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        autocast: Callable[[], AbstractContextManager[Any]],
        stage: Stage,
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.stage = stage
        self.maps = "maps" in recipe.info.needs
        self.class_maps = "class_maps" in recipe.info.needs
        self._autocast = autocast
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

    def forward(self, batch: Batch, heard: Heard) -> dict[str, Tensor]:
        """The weighted loss terms of one batch, computed in float32."""
        with self._autocast():
            student: Outputs = self.network(
                batch.images, maps=self.maps, class_maps=self.class_maps
            )
        return self.stage.terms(batch, student.float(), heard)

    def networks(self) -> Iterator[Network]:
        """The network that is trained, and those that the recipe runs beside it."""
        return _outermost_networks(self)


def _outermost_networks(module: nn.Module) -> Iterator[Network]:
    for child in module.children():
        if isinstance(child, Network):
            yield child
        else:
            yield from _outermost_networks(child)


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
