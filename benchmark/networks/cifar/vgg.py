"""CIFAR VGGs with BatchNorm: vgg8 … vgg19, without the large fully connected layers.

Simonyan and Zisserman, "Very Deep Convolutional Networks", arXiv:1409.1556. Five stages; the last
two have the same resolution, except for images of 64 pixels and more.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.networks.cifar.network import (
    CifarNetwork,
    ImageSize,
    StageTrace,
    initialise_classifier,
    initialise_convolutions,
)
from benchmark.networks.outputs import Shape

WIDTHS = (64, 128, 256, 512, 512)
# name: convolutions in each of the five stages
NETWORKS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
LARGE_IMAGE = 64


class VGG(CifarNetwork):
    """Five stages of 3×3 convolutions with 2×2 max pooling between them."""

    classifier_key: ClassVar[str] = "classifier"

    def __init__(
        self, depths: tuple[int, int, int, int, int], *, classes: int, image_size: ImageSize
    ) -> None:
        super().__init__()
        w0, w1, w2, w3, w4 = WIDTHS
        self.block0 = _stage(3, w0, depth=depths[0])
        self.block1 = _stage(w0, w1, depth=depths[1])
        self.block2 = _stage(w1, w2, depth=depths[2])
        self.block3 = _stage(w2, w3, depth=depths[3])
        self.block4 = _stage(w3, w4, depth=depths[4])
        self.add_module("classifier", nn.Linear(w4, classes))
        initialise_convolutions(self)
        initialise_classifier(self.classifier)
        self.embedding_dim = w4
        self.stage_shapes = _stage_shapes(image_size)

    def features(self, images: Tensor, trace: StageTrace) -> Tensor:
        """The last map (B, D, H, W) for images (B, 3, H, W); stages go to ``trace``."""
        x = F.relu(self.block0(images), inplace=True)
        trace.record(x, x)
        for stage in (self.block1, self.block2, self.block3, self.block4):
            if stage is not self.block4 or images.shape[2] >= LARGE_IMAGE:
                x = F.max_pool2d(x, 2)
            x = trace.activate(stage(x))
        return x


def _stage(inputs: int, outputs: int, *, depth: int) -> nn.Sequential:
    """Convolutions with BatchNorm, ReLU between them and none at the end."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
        inputs = outputs
    return nn.Sequential(*layers[:-1])


def _stage_shapes(image_size: ImageSize) -> tuple[Shape, ...]:
    height, width = image_size
    pools = (0, 1, 2, 3, 4 if height >= LARGE_IMAGE else 3)
    return tuple(
        (channels, height >> times, width >> times)
        for channels, times in zip(WIDTHS, pools, strict=True)
    )


def build(name: str, *, classes: int, image_size: ImageSize) -> VGG:
    """The VGG of this name."""
    return VGG(NETWORKS[name], classes=classes, image_size=image_size)
