"""What the CIFAR families have in common: forward pass, stages, pooling and initialisation.

A block of these families returns its value *before* its last activation. The stage applies the
activation, and so the pre-activation of a stage is at hand for the recipes that compare it, while
everything else is activated in place.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.networks.outputs import Network, Outputs, at_every_position

ImageSize = tuple[int, int]
Pairs = tuple[tuple[str, str], ...]


class StageTrace:
    """The stages of one forward pass, kept only if somebody asked for them."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.maps: list[Tensor] = []
        self.preactivations: list[Tensor] = []

    def record(self, after: Tensor, before: Tensor) -> None:
        """Keep a stage's map and its pre-activation, (B, C, H, W) both."""
        if self.keep:
            self.maps.append(after)
            self.preactivations.append(before)

    def activate(self, before: Tensor) -> Tensor:
        """End a stage with its ReLU, which overwrites its input unless that is kept."""
        after = F.relu(before, inplace=not self.keep)
        self.record(after, before)
        return after


class CifarNetwork(Network):
    """A CIFAR network of the field: stages, global average pooling, one linear classifier.

    Attributes:
        classifier_key: where the classifier stands in the published state dict.
        conv_bn: (convolution, BatchNorm that directly follows and alone reads it) by attribute.
            Blocks have the same attribute; within an ``nn.Sequential`` the order tells it.
    """

    classifier_key: ClassVar[str] = "fc"
    conv_bn: ClassVar[Pairs] = ()

    @property
    def classifier(self) -> nn.Linear:
        """The layer that maps the embedding to logits."""
        layer: nn.Module = self
        for key in self.classifier_key.split("."):
            # Not by attribute: where the published key is "classifier", that is this property.
            child = layer._modules.get(key)
            if child is None:
                raise AttributeError(f"{type(self).__name__} has no {self.classifier_key} yet")
            layer = child
        return cast("nn.Linear", layer)

    @abstractmethod
    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""

    def forward(self, images: Tensor, *, maps: bool = False, class_maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W), and show on the way what is asked for."""
        trace = StageTrace(keep=maps)
        last = self.features(images, trace)
        # Not mean() nor an adaptive pool: the gradient of this one keeps channels_last, which makes
        # the backward pass through the last ReLU and BatchNorm a third faster on a CPU.
        embedding = F.avg_pool2d(last, last.shape[2:]).flatten(1)
        return Outputs(
            logits=self.classifier(embedding),
            embedding=embedding,
            maps=tuple(trace.maps),
            preactivations=tuple(trace.preactivations),
            maybe_features=last if maps else None,
            maybe_class_maps=at_every_position(self.classifier, last) if class_maps else None,
        )


def run_stage(blocks: nn.Sequential, x: Tensor, trace: StageTrace) -> Tensor:
    """Run the blocks of a stage, each followed by its ReLU; the last one is the stage's map."""
    *inner, last = blocks
    for block in inner:
        x = F.relu(block(x), inplace=True)
    return trace.activate(last(x))


def conv3x3(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3×3 convolution with padding 1 and without bias, as BatchNorm follows."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=False)


def conv1x1(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 1×1 convolution without bias, as BatchNorm follows."""
    return nn.Conv2d(inputs, outputs, 1, stride=stride, groups=groups, bias=False)


def initialise_convolutions(network: nn.Module) -> None:
    """He initialisation over fan-out, biases zero; BatchNorm starts as torch makes it, at 1 and 0.

    He et al., "Delving Deep into Rectifiers", arXiv:1502.01852.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_classifier(classifier: nn.Linear) -> None:
    """The small normal weights and zero biases of the VGG and MobileNet code of the field."""
    nn.init.normal_(classifier.weight, std=0.01)
    nn.init.zeros_(classifier.bias)


def halved(size: ImageSize, times: int = 1) -> ImageSize:
    """The size after so many 3×3 layers of stride 2 and padding 1, which round up."""
    height, width = size
    for _ in range(times):
        height, width = (height + 1) // 2, (width + 1) // 2
    return height, width
