"""Neuron selectivity transfer: the channels' patterns are distributed as the teacher's.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · Σ_l MMD²(F_s^l, F_t^l)
    MMD²(F_s, F_t) = mean k(f_t, f_t') + mean k(f_s, f_s') − 2 · mean k(f_s, f_t),    k = (f · f')²

f are the channels of a stage's map as unit vectors over the positions. The larger map is averaged
to the size of the smaller.

Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer",
arXiv:1707.01219; weight as in arXiv:1910.10699.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._maps import stage_pairs, to_smaller
from ._with_kd import WithKD


@register("nst", family="features", paper="arXiv:1707.01219", needs={"maps"})
class NeuronSelectivity(WithKD):
    nst_weight: float = 50.0  # β

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stages, teacher.stages)
        return {"nst": self.nst_weight * nst_loss(*zip(*pairs, strict=True))}


def nst_loss(maps_s: Sequence[Tensor], maps_t: Sequence[Tensor]) -> Tensor:
    """Squared maximum mean discrepancy of the channels' patterns, summed over the stages.

    Args:
        maps_s: student maps (B, C, H, W) of some stages.
        maps_t: teacher maps of the same stages; channels, height and width may differ.
    """
    losses = []
    for map_s, map_t in zip(maps_s, maps_t, strict=True):
        s, t = (F.normalize(m.flatten(2), dim=2) for m in to_smaller(map_s, map_t))
        losses.append(kernel_mean(t, t) + kernel_mean(s, s) - 2 * kernel_mean(s, t))
    return torch.stack(losses).sum()


def kernel_mean(one: Tensor, other: Tensor) -> Tensor:
    """Mean of (f · f')² over all channels f of one map (B, C, N) and f' of the other."""
    return (one @ other.transpose(1, 2)).square().mean()
