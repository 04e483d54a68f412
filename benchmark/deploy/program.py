"""A trained network as one module that needs nothing beside it: pixels in, logits out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.cards.fields import Triple
from benchmark.networks.cifar.network import CifarNetwork
from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Network
from benchmark.work.rebuilding import Student

EXAMPLES = 2  # images; a batch of one would be taken for a constant
PIXELS, LOGITS = "pixels", "logits"  # names of what goes in and what comes out


class Program(nn.Module):
    """Logits of pixels; normalisation and all of the recipe's layers are inside.

    Args:
        network: that answers.
        mean, std: by which pixels in [0, 1] are normalised, by channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, mean: Triple, std: Triple) -> None:
        super().__init__()
        self.network = inference_copy(network)
        for part in self.network.modules():
            _name_apart(part)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    @classmethod
    def of(cls, student: Student) -> Program:
        """The program of a trained network, frozen and in eval mode."""
        pictures = student.pictures
        program = cls(student.network, pictures.mean, pictures.std)
        return program.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (B, K) of pixels (B, 3, S, S), float32 in [0, 1]."""
        logits: Tensor = self.network((pixels - self.mean) / self.std).logits
        return logits


def examples(size: int, count: int = EXAMPLES) -> Tensor:
    """Pixels (B, 3, S, S) of no image, the same every time."""
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def _name_apart(part: nn.Module) -> None:
    """Rename layers whose published name is also that of a property, which exporters read."""
    if isinstance(part, CifarNetwork) and part.classifier_key.startswith("classifier."):
        vars(part)["classifier_key"] = part.classifier_key.replace("classifier", "published", 1)
        part._modules["published"] = part._modules.pop("classifier")
