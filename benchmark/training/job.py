"""What is to be trained, and the networks that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmark.cards.protocol import Protocol
from benchmark.data.loaders.batches import stable_seed
from benchmark.data.pictures import Pictures
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Heard
from benchmark.recipe.context import Context
from benchmark.recipe.contract import Recipe


@dataclass(frozen=True)
class TaughtBy:
    """The weights of a trained network that a run builds on.

    Attributes:
        digest: of the weights.
        top1: accuracy in percent that was measured with them; None if only their record knows it.
    """

    digest: str
    top1: float | None = None


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
        source: sha256 of the recipe's source; a checkpoint of another one is not continued.
        roles: the trained networks that it builds on.
        role_identities: of the runs that trained them; empty where nothing is kept with them.
        taught_by: their weights, by role; without those that a user brought.
    """

    identity: str
    label: str
    network: str
    recipe: Recipe
    protocol: Protocol
    seed: int
    source: str = ""
    roles: Mapping[str, Network] = field(default_factory=dict)
    role_identities: Mapping[str, str] = field(default_factory=dict)
    taught_by: Mapping[str, TaughtBy] = field(default_factory=dict)

    @property
    def heard(self) -> tuple[str, ...]:
        """Roles whose networks run on every batch."""
        return tuple(role for role in self.recipe.hears if role in self.roles)

    @property
    def hears_of_batches(self) -> bool:
        """Whether heard networks are asked of the batches as they are, not of its recipe's view."""
        return bool(self.heard) and type(self.recipe).view is Recipe.view

    def hear(self, ask: Callable[[Network, Tensor], Outputs], images: Tensor) -> Heard:
        """What the heard networks say of images (B, 3, H, W), in the form that the recipe takes."""
        said = {role: ask(self.roles[role], images) for role in self.heard}
        if len(self.recipe.hears) > 1:
            return said
        return next(iter(said.values()), None)


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
        drop_path=job.protocol.drop_path,
    )
    if pretrained:
        network.expect(pictures.mean, pictures.std)
    torch.manual_seed(stable_seed(job.seed, "head", job.network))
    return job.recipe.adapt(network, job.roles)


def context_of(job: Job, setting: Setting, network: Network) -> Context:
    """What the job's recipe builds its layers from."""
    teacher = job.roles.get("teacher")
    return Context(
        student=network.shape,
        maybe_teacher=teacher.shape if teacher is not None else None,
        labels=setting.labels,
        roles=job.roles,
        maybe_network=network,
    )
