"""MobileNetV2 at half width, as the distillation papers use it on CIFAR.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381. Blocks
end without an activation, so maps and pre-activations are the same tensors.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from benchmark.networks.cifar.network import (
    CifarNetwork,
    ImageSize,
    StageTrace,
    conv1x1,
    conv3x3,
    halved,
    initialise_classifier,
    initialise_convolutions,
)

# expansion, channels, blocks, stride of the first block: half of the paper's channels
STAGES = (
    (1, 8, 1, 1),
    (6, 12, 2, 1),
    (6, 16, 3, 2),
    (6, 32, 4, 2),
    (6, 48, 3, 1),
    (6, 80, 3, 2),
    (6, 160, 1, 1),
)
STEM = 16
EMBEDDING = 1280
# The stages whose outputs are the maps of the field, and how often they are halved.
MAPPED_STAGES = {1: 1, 2: 2, 4: 3, 6: 4}


class InvertedResidual(nn.Module):
    """1×1 expansion, depthwise 3×3, linear 1×1 projection, and a shortcut where shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        width = expansion * inputs
        self.has_shortcut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            conv1x1(inputs, width),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            conv3x3(width, width, stride=stride, groups=width),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            conv1x1(width, outputs),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        out: Tensor = self.conv(x)
        if self.has_shortcut:
            out += x
        return out


class MobileNetV2(CifarNetwork):
    """A strided stem, seven stages of inverted residuals, a 1×1 convolution to the embedding."""

    classifier_key: ClassVar[str] = "classifier.0"

    def __init__(self, *, classes: int, image_size: ImageSize) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            conv3x3(3, STEM, stride=2), nn.BatchNorm2d(STEM), nn.ReLU(inplace=True)
        )
        inputs = STEM
        stages = []
        for expansion, outputs, blocks, stride in STAGES:
            stages.append(
                _stage(inputs, outputs, blocks=blocks, stride=stride, expansion=expansion)
            )
            inputs = outputs
        self.blocks = nn.Sequential(*stages)
        self.conv2 = nn.Sequential(
            conv1x1(inputs, EMBEDDING), nn.BatchNorm2d(EMBEDDING), nn.ReLU(inplace=True)
        )
        self.add_module("classifier", nn.Sequential(nn.Linear(EMBEDDING, classes)))
        initialise_convolutions(self)
        initialise_classifier(self.classifier)
        self.embedding_dim = EMBEDDING
        self.stage_shapes = (
            (STEM, *halved(image_size)),
            *(
                (STAGES[stage][1], *halved(image_size, times))
                for stage, times in MAPPED_STAGES.items()
            ),
        )
        self.signed_maps = (False, *(True for _ in MAPPED_STAGES))

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""
        x = self.conv1(images)
        trace.record(x, x)
        for number, stage in enumerate(self.blocks):
            x = stage(x)
            if number in MAPPED_STAGES:
                trace.record(x, x)
        last: Tensor = self.conv2(x)
        return last


def _stage(inputs: int, outputs: int, *, blocks: int, stride: int, expansion: int) -> nn.Sequential:
    return nn.Sequential(
        InvertedResidual(inputs, outputs, stride=stride, expansion=expansion),
        *(
            InvertedResidual(outputs, outputs, stride=1, expansion=expansion)
            for _ in range(1, blocks)
        ),
    )


def build(name: str, *, classes: int, image_size: ImageSize) -> MobileNetV2:
    """MobileNetV2, the one network of this family."""
    return MobileNetV2(classes=classes, image_size=image_size)
