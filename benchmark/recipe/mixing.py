"""Labels as distributions, and batches that are mixed: label smoothing, mixup, CutMix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class Mixed(NamedTuple):
    """A batch whose images are mixed with one another.

    Attributes:
        images: (B, 3, H, W), mixed.
        distributions: (B, K) float32, the labels mixed alike.
        partner: (B,) int64, with which image of the batch each one was mixed.
        share: (B,) float32, how much of each image is its own, in [0, 1].
    """

    images: Tensor
    distributions: Tensor
    partner: Tensor
    share: Tensor


def distributions_of(labels: Tensor, classes: int, smoothing: float = 0.0) -> Tensor:
    """Labels as distributions (B, K) over the classes, in float32.

    Args:
        labels: (B,) int64, or distributions (B, K), which are smoothed further.
        classes: their number K.
        smoothing: share in [0, 1) that all classes get alike, as in torch's ``cross_entropy``
            (Szegedy et al., arXiv:1512.00567).
    """
    sharp = labels.float() if labels.ndim == 2 else F.one_hot(labels, classes).float()
    return sharp * (1 - smoothing) + smoothing / classes if smoothing else sharp


def mix(
    images: Tensor,
    labels: Tensor,
    classes: int,
    *,
    mixup: float,
    cutmix: float,
    generator: torch.Generator,
) -> Mixed:
    """Mix each image of a batch with another one of it; all of them at the same share.

    Mixup (Zhang et al., arXiv:1710.09412) adds the images: ``λ · own + (1 − λ) · partner``. CutMix
    (Yun et al., arXiv:1905.04899) puts a rectangle of the partner into the image, at the same place
    in all; λ is what is left of the image itself. λ is drawn from Beta(α, α), the labels are mixed
    at λ. Nothing is read back from the device.

    Args:
        images: (B, 3, H, W).
        labels: (B,) int64, or distributions (B, K).
        classes: their number K.
        mixup: its α, 0 for none.
        cutmix: its α, 0 for none; with both, a coin decides for the batch.
        generator: of the CPU; one number of it makes all choices.

    Returns:
        New tensors in the layout of the old ones.

    Raises:
        ValueError: neither α is above 0.
    """
    if mixup <= 0 and cutmix <= 0:
        raise ValueError("mixup or cutmix must be above 0")
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    draw = np.random.default_rng(seed)
    cuts = draw.random() < (0.5 if mixup and cutmix else float(cutmix > 0))
    alpha = cutmix if cuts else mixup
    own = float(draw.beta(alpha, alpha))
    partner = torch.from_numpy(draw.permutation(len(images))).to(images.device, non_blocking=True)
    if cuts:
        top, bottom, left, right = _rectangle(draw, images.shape[2], images.shape[3], own)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
        own = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    else:
        mixed = images.lerp(images[partner], 1 - own)
    sharp = distributions_of(labels, classes)
    share = torch.full((len(images),), own, device=images.device)
    return Mixed(mixed, sharp.lerp(sharp[partner], 1 - own), partner, share)


def mix_views(
    views: Sequence[Tensor],
    labels: Tensor,
    classes: int,
    *,
    mixup: float,
    cutmix: float,
    seed: int,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Mix all views of a batch with the same partners at the same share.

    Args:
        views: of the same images, (B, 3, H, W) each.
        labels: (B,) int64, or distributions (B, K).
        classes: their number K.
        mixup: its α, 0 for none.
        cutmix: likewise.
        seed: of all choices.

    Returns:
        The mixed views, and the labels mixed alike, (B, K).
    """
    found = [
        mix(
            images,
            labels,
            classes,
            mixup=mixup,
            cutmix=cutmix,
            generator=torch.Generator().manual_seed(seed),
        )
        for images in views
    ]
    return tuple(mixed.images for mixed in found), found[0].distributions


def _rectangle(
    draw: np.random.Generator, height: int, width: int, own: float
) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the share ``1 − own`` of an image, cut where it sticks out."""
    edge = math.sqrt(1 - own)
    half_height, half_width = int(height * edge) // 2, int(width * edge) // 2
    y, x = int(draw.integers(height)), int(draw.integers(width))
    return (
        max(y - half_height, 0),
        min(y + half_height, height),
        max(x - half_width, 0),
        min(x + half_width, width),
    )
