"""ShuffleNets for CIFAR: ShuffleV1 (three groups) and ShuffleV2 (width 1×).

Zhang et al., "ShuffleNet", arXiv:1707.01083; Ma et al., "ShuffleNet V2", arXiv:1807.11164. The stem
is a 1×1 convolution without stride. Weights start as torch draws them, as in the field's code.
"""

from __future__ import annotations

from typing import ClassVar

import torch
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
    run_stage,
)

STEM = 24
GROUPS_V1 = 3
WIDTHS_V1 = (240, 480, 960)
BLOCKS_V1 = (4, 8, 4)
WIDTHS_V2 = (116, 232, 464)
BLOCKS_V2 = (4, 8, 4)
EMBEDDING_V2 = 1024


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Channels (B, C, H, W) dealt out so that each group holds some of every group before."""
    batch, channels, height, width = x.shape
    grouped = x.view(batch, groups, channels // groups, height, width)
    return grouped.transpose(1, 2).reshape(batch, channels, height, width)


class GroupedBlock(nn.Module):
    """ShuffleNet V1: grouped 1×1, shuffle, depthwise 3×3, grouped 1×1; before its activation.

    With stride 2 the pooled input is concatenated instead of added.
    """

    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        width = outputs // 4
        self.stride = stride
        # The stem has too few channels to be split into groups.
        self.groups = 1 if inputs == STEM else GROUPS_V1
        self.conv1 = conv1x1(inputs, width, groups=self.groups)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride=stride, groups=width)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, outputs, groups=GROUPS_V1)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the sum, or with stride 2 to (B, outputs + C, H / 2, W / 2)."""
        hidden = F.relu(self.bn1(self.conv1(x)), inplace=True)
        hidden = F.relu(self.bn2(self.conv2(shuffle(hidden, self.groups))), inplace=True)
        out: Tensor = self.bn3(self.conv3(hidden))
        if self.stride == 2:
            return torch.cat([out, F.avg_pool2d(x, 3, stride=2, padding=1)], 1)
        out += x
        return out


class ShuffleV1(CifarNetwork):
    """A 1×1 stem and three stages, each beginning with a block of stride 2."""

    classifier_key: ClassVar[str] = "linear"
    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"),)

    def __init__(self, *, classes: int, image_size: ImageSize) -> None:
        super().__init__()
        self.conv1 = conv1x1(3, STEM)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.layer1 = _grouped_stage(STEM, WIDTHS_V1[0], blocks=BLOCKS_V1[0])
        self.layer2 = _grouped_stage(WIDTHS_V1[0], WIDTHS_V1[1], blocks=BLOCKS_V1[1])
        self.layer3 = _grouped_stage(WIDTHS_V1[1], WIDTHS_V1[2], blocks=BLOCKS_V1[2])
        self.linear = nn.Linear(WIDTHS_V1[2], classes)
        self.embedding_dim = WIDTHS_V1[2]
        self.stage_shapes = tuple(
            (width, *halved(image_size, times)) for times, width in enumerate((STEM, *WIDTHS_V1))
        )

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        trace.record(x, x)
        for stage in (self.layer1, self.layer2, self.layer3):
            x = run_stage(stage, x, trace)
        return x


class SplitBlock(nn.Module):
    """ShuffleNet V2: half of the channels pass, half are convolved, both are shuffled.

    The result is before its activation. The half that passes is activated already, and a second
    ReLU leaves it as it is.
    """

    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = conv1x1(half, half)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = conv3x3(half, half, groups=half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv1x1(half, half)
        self.bn3 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        passed, out = x.chunk(2, 1)
        out = F.relu(self.bn1(self.conv1(out)), inplace=True)
        out = self.bn3(self.conv3(self.bn2(self.conv2(out))))
        return shuffle(torch.cat([passed, out], 1), 2)


class DownBlock(nn.Module):
    """ShuffleNet V2 with stride 2: both branches are convolved; before their activation."""

    conv_bn: ClassVar[Pairs] = tuple((f"conv{n}", f"bn{n}") for n in range(1, 6))

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = conv3x3(inputs, inputs, stride=2, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = conv1x1(inputs, half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv1x1(inputs, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = conv3x3(half, half, stride=2, groups=half)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv1x1(half, half)
        self.bn5 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / 2, W / 2)."""
        left = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        right = F.relu(self.bn3(self.conv3(x)), inplace=True)
        right = self.bn5(self.conv5(self.bn4(self.conv4(right))))
        return shuffle(torch.cat([left, right], 1), 2)


class ShuffleV2(CifarNetwork):
    """A 1×1 stem, three stages, and a 1×1 convolution to the embedding."""

    classifier_key: ClassVar[str] = "linear"
    conv_bn: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, *, classes: int, image_size: ImageSize) -> None:
        super().__init__()
        self.conv1 = conv1x1(3, STEM)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.layer1 = _split_stage(STEM, WIDTHS_V2[0], blocks=BLOCKS_V2[0])
        self.layer2 = _split_stage(WIDTHS_V2[0], WIDTHS_V2[1], blocks=BLOCKS_V2[1])
        self.layer3 = _split_stage(WIDTHS_V2[1], WIDTHS_V2[2], blocks=BLOCKS_V2[2])
        self.conv2 = conv1x1(WIDTHS_V2[2], EMBEDDING_V2)
        self.bn2 = nn.BatchNorm2d(EMBEDDING_V2)
        self.linear = nn.Linear(EMBEDDING_V2, classes)
        self.embedding_dim = EMBEDDING_V2
        self.stage_shapes = tuple(
            (width, *halved(image_size, times)) for times, width in enumerate((STEM, *WIDTHS_V2))
        )

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        trace.record(x, x)
        for stage in (self.layer1, self.layer2, self.layer3):
            x = run_stage(stage, x, trace)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


def _grouped_stage(inputs: int, outputs: int, *, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        # The first block gives only what its concatenated input leaves to be filled.
        GroupedBlock(inputs, outputs - inputs, stride=2),
        *(GroupedBlock(outputs, outputs, stride=1) for _ in range(1, blocks)),
    )


def _split_stage(inputs: int, outputs: int, *, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        DownBlock(inputs, outputs), *(SplitBlock(outputs) for _ in range(1, blocks))
    )


NETWORKS: dict[str, type[ShuffleV1] | type[ShuffleV2]] = {
    "ShuffleV1": ShuffleV1,
    "ShuffleV2": ShuffleV2,
}


def build(name: str, *, classes: int, image_size: ImageSize) -> CifarNetwork:
    """The ShuffleNet of this name."""
    return NETWORKS[name](classes=classes, image_size=image_size)
