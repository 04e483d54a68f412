"""Attention transfer: the student looks where the teacher looks.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · Σ_l mean (Q(F_s^l) − Q(F_t^l))²
    Q(F) = vec(A) / ‖vec(A)‖,    A = mean of F² over the channels

F^l are the stage maps; the larger of two is averaged to the size of the smaller.

Zagoruyko, Komodakis, "Paying More Attention to Attention", arXiv:1612.03928; weight as in
arXiv:1910.10699.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._maps import stage_pairs, to_smaller
from ._with_kd import WithKD


@register("at", family="features", paper="arXiv:1612.03928", needs={"maps"})
class AttentionTransfer(WithKD):
    at_weight: float = 1000.0  # β

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stages, teacher.stages)
        return {"at": self.at_weight * attention_loss(*zip(*pairs, strict=True))}


def attention_loss(maps_s: Sequence[Tensor], maps_t: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of the attention maps, summed over the stages.

    Args:
        maps_s: student maps (B, C, H, W) of some stages.
        maps_t: teacher maps of the same stages; channels, height and width may differ.
    """
    losses = []
    for map_s, map_t in zip(maps_s, maps_t, strict=True):
        map_s, map_t = to_smaller(map_s, map_t)
        losses.append(F.mse_loss(attention(map_s), attention(map_t)))
    return torch.stack(losses).sum()


def attention(image: Tensor) -> Tensor:
    """Where a map (B, C, H, W) has its energy: unit vectors (B, H·W)."""
    return F.normalize(image.square().mean(dim=1).flatten(1), dim=1)
