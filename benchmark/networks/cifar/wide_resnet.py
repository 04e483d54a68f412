"""CIFAR Wide ResNets: wrn_DEPTH_WIDTH, with BatchNorm and ReLU before the convolutions.

Zagoruyko and Komodakis, "Wide Residual Networks", arXiv:1605.07146. The maps of the field are the
sums between the blocks; the pre-activation of a stage is that sum after the BatchNorm of whatever
comes next.
"""

from __future__ import annotations

from typing import ClassVar, cast

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
)

# name: (depth, widening factor)
NETWORKS = {
    "wrn_16_1": (16, 1),
    "wrn_16_2": (16, 2),
    "wrn_40_1": (40, 1),
    "wrn_40_2": (40, 2),
}


class WideBlock(nn.Module):
    """BN, ReLU, 3×3, BN, ReLU, 3×3 and a shortcut.

    The network applies ``bn1`` and its ReLU, because the result is also the pre-activation of the
    stage before, and a BatchNorm must run once a step.
    """

    conv_bn: ClassVar[Pairs] = (("conv1", "bn2"),)

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride=stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.convShortcut: nn.Conv2d | None = None
        if inputs != outputs:
            self.convShortcut = conv1x1(inputs, outputs, stride=stride)

    def forward(self, x: Tensor, activated: Tensor) -> Tensor:
        """The next sum (B, outputs, …) from ``x`` and from ReLU(``bn1``(x)), (B, inputs, …)."""
        hidden = F.relu(self.bn2(self.conv1(activated)), inplace=True)
        out: Tensor = self.conv2(hidden)
        out += x if self.convShortcut is None else self.convShortcut(activated)
        return out


class WideStage(nn.Module):
    """The blocks of one resolution; ``layer`` is their place in the published state dict."""

    def __init__(self, inputs: int, outputs: int, *, blocks: int, stride: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            WideBlock(inputs, outputs, stride=stride),
            *(WideBlock(outputs, outputs, stride=1) for _ in range(1, blocks)),
        )

    @property
    def blocks(self) -> list[WideBlock]:
        """The blocks in order."""
        return [cast("WideBlock", block) for block in self.layer]


class WideResNet(CifarNetwork):
    """A stem and three stages of ``(depth - 4) / 6`` blocks each."""

    def __init__(self, depth: int, factor: int, *, classes: int, image_size: ImageSize) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        widths = (16, 16 * factor, 32 * factor, 64 * factor)
        self.conv1 = conv3x3(3, widths[0])
        self.block1 = WideStage(widths[0], widths[1], blocks=blocks, stride=1)
        self.block2 = WideStage(widths[1], widths[2], blocks=blocks, stride=2)
        self.block3 = WideStage(widths[2], widths[3], blocks=blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)
        initialise_convolutions(self)
        nn.init.zeros_(self.fc.bias)
        self.embedding_dim = widths[3]
        self.stage_shapes = tuple(
            (width, *halved(image_size, times))
            for width, times in zip(widths, (0, 0, 1, 2), strict=True)
        )
        self.signed_maps = (True,) * len(widths)  # sums that nothing has activated yet

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W), activated; the sums between the stages go to ``trace``."""
        x: Tensor = self.conv1(images)
        trace.record(x, x)
        for number, stage in enumerate((self.block1, self.block2, self.block3)):
            first, *others = stage.blocks
            normalised = first.bn1(x)
            if number == 0:  # the stem's sum is its own pre-activation and already recorded
                x = first(x, F.relu(normalised, inplace=True))
            else:
                x = first(x, _end_stage(x, normalised, trace))
            for block in others:
                x = block(x, F.relu(block.bn1(x), inplace=True))
        return _end_stage(x, self.bn1(x), trace)


def _end_stage(stage_sum: Tensor, normalised: Tensor, trace: StageTrace) -> Tensor:
    """ReLU of a stage's normalised sum; the two sums are what recipes see of the stage."""
    trace.record(stage_sum, normalised)
    return F.relu(normalised, inplace=not trace.keep)


def build(name: str, *, classes: int, image_size: ImageSize) -> WideResNet:
    """The Wide ResNet of this name."""
    depth, factor = NETWORKS[name]
    return WideResNet(depth, factor, classes=classes, image_size=image_size)
