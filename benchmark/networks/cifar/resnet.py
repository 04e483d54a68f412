"""CIFAR ResNets of basic blocks: resnet8 … resnet110, and the four times wider ones.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2; the
shortcut is a strided 1×1 convolution where shapes change. ``x4`` networks are four times as wide
after a stem of 32 channels.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.networks.cifar.network import (
    CifarNetwork,
    ImageSize,
    Pairs,
    StageTrace,
    conv1x1,
    conv3x3,
    halved,
    initialise_convolutions,
    run_stage,
)

NARROW = (16, 16, 32, 64)
WIDE = (32, 64, 128, 256)
# name: (depth, channels of the stem and of the three stages)
NETWORKS = {
    "resnet8": (8, NARROW),
    "resnet14": (14, NARROW),
    "resnet20": (20, NARROW),
    "resnet32": (32, NARROW),
    "resnet44": (44, NARROW),
    "resnet56": (56, NARROW),
    "resnet110": (110, NARROW),
    "resnet8x4": (8, WIDE),
    "resnet32x4": (32, WIDE),
}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; returns the sum before its activation."""

    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride=stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv1x1(inputs, outputs, stride=stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        hidden = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out: Tensor = self.bn2(self.conv2(hidden))
        out += x if self.downsample is None else self.downsample(x)
        return out


class ResNet(CifarNetwork):
    """A stem and three stages of ``(depth - 2) / 6`` basic blocks each."""

    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"),)

    def __init__(
        self, depth: int, widths: tuple[int, int, int, int], *, classes: int, image_size: ImageSize
    ) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = conv3x3(3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = _stage(widths[0], widths[1], blocks=blocks, stride=1)
        self.layer2 = _stage(widths[1], widths[2], blocks=blocks, stride=2)
        self.layer3 = _stage(widths[2], widths[3], blocks=blocks, stride=2)
        self.fc = nn.Linear(widths[3], classes)
        initialise_convolutions(self)
        self.embedding_dim = widths[3]
        self.stage_shapes = tuple(
            (width, *halved(image_size, times))
            for width, times in zip(widths, (0, 0, 1, 2), strict=True)
        )

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        trace.record(x, x)
        for stage in (self.layer1, self.layer2, self.layer3):
            x = run_stage(stage, x, trace)
        return x


def _stage(inputs: int, outputs: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride=stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, stride=1) for _ in range(1, blocks)))


def build(name: str, *, classes: int, image_size: ImageSize) -> ResNet:
    """The CIFAR ResNet of this name."""
    depth, widths = NETWORKS[name]
    return ResNet(depth, widths, classes=classes, image_size=image_size)
