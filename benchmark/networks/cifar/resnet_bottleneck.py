"""ResNet50 for CIFAR: bottleneck blocks in four stages after a 3×3 stem without pooling.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
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

# name: blocks in each of the four stages
NETWORKS = {"ResNet50": (3, 4, 6, 3)}
STEM = 64
EXPANSION = 4


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 and a shortcut; returns the sum before its activation."""

    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1 = conv1x1(inputs, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, outputs)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                conv1x1(inputs, outputs, stride=stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 4 · width, H / stride, W / stride)."""
        hidden = F.relu(self.bn1(self.conv1(x)), inplace=True)
        hidden = F.relu(self.bn2(self.conv2(hidden)), inplace=True)
        out: Tensor = self.bn3(self.conv3(hidden))
        out += self.shortcut(x)
        return out


class BottleneckResNet(CifarNetwork):
    """A stem and four stages of bottlenecks."""

    classifier_key: ClassVar[str] = "linear"
    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"),)

    def __init__(
        self, depths: tuple[int, int, int, int], *, classes: int, image_size: ImageSize
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(3, STEM)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.layer1 = _stage(STEM, 64, blocks=depths[0], stride=1)
        self.layer2 = _stage(256, 128, blocks=depths[1], stride=2)
        self.layer3 = _stage(512, 256, blocks=depths[2], stride=2)
        self.layer4 = _stage(1024, 512, blocks=depths[3], stride=2)
        self.linear = nn.Linear(2048, classes)
        initialise_convolutions(self)
        self.embedding_dim = 2048
        self.stage_shapes = tuple(
            (width, *halved(image_size, times))
            for width, times in ((STEM, 0), (256, 0), (512, 1), (1024, 2), (2048, 3))
        )

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        trace.record(x, x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = run_stage(stage, x, trace)
        return x


def _stage(inputs: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    outputs = EXPANSION * width
    return nn.Sequential(
        Bottleneck(inputs, width, stride=stride),
        *(Bottleneck(outputs, width, stride=1) for _ in range(1, blocks)),
    )


def build(name: str, *, classes: int, image_size: ImageSize) -> BottleneckResNet:
    """The bottleneck ResNet of this name."""
    return BottleneckResNet(NETWORKS[name], classes=classes, image_size=image_size)
