"""Layers that several methods train beside the student."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that takes a batch of one value per channel.

    Such a batch has no variance. It is normalised with the running statistics, as in evaluation.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W)."""
        if self.training and images.numel() == images.shape[1]:
            return F.batch_norm(
                images, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(images)


def conv_bn(inputs: int, outputs: int, kernel: int = 1) -> nn.Sequential:
    """A convolution that keeps height and width, and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, BatchNorm(outputs))


def last_activation(*, signed: bool) -> list[nn.Module]:
    """The ReLU that a connector ends in; none where its target may be negative."""
    return [] if signed else [nn.ReLU()]
