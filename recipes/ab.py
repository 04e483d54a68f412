"""Activation boundaries: the student's neurons switch on and off where the teacher's do.

    first   L = β · 3/1000 · Σ_l 2^{l−n} · Σ h(r^l(F_s^l), F_t^l) / B
    then    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)

    h(s, t) = (s + m)² where t ≤ 0 and s > −m,    (s − m)² where t > 0 and s ≤ m,    else 0

F^l are the n stages' maps before the activation, r^l is a trained connector to the teacher's shape
(none where the shapes are equal), m = 1 a margin. The first stage trains the student without its
classifier, for first_stage · the protocol's epochs, which it adds to them.

Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons",
arXiv:1811.03233; stages and weights as in arXiv:1910.10699.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark import Batch, Context, Network, Outputs, Proposal, Terms, register

from ._first_stage import WithFirstStage
from ._maps import stage_pairs
from .fitnet import regressor

MARGIN = 1.0
SCALE = 3 / 1000


@register("ab", family="features", paper="arXiv:1811.03233", needs={"maps"})
class ActivationBoundaries(WithFirstStage):
    ab_weight: float = 1.0  # β

    def refuse(self, proposal: Proposal) -> str | None:
        if not (proposal.student.shows_preactivations and proposal.teacher.shows_preactivations):
            return "AB compares maps before the activation, which networks of timm do not show"
        return None

    def build(self, context: Context) -> None:
        pairs = stage_pairs(context.student.stages, context.teacher.stages)
        self.connectors = nn.ModuleList(
            nn.Identity() if s == t else regressor(s, t, signed=True) for s, t in pairs
        )

    def rest_later(self, student: Network) -> Sequence[nn.Module]:
        return [self.connectors]

    def first_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stage_preactivations, teacher.stage_preactivations)
        maps_s, maps_t = zip(*pairs, strict=True)
        connected = [connect(m) for connect, m in zip(self.connectors, maps_s, strict=True)]
        return {"ab": self.ab_weight * boundary_loss(connected, maps_t)}


def boundary_loss(preactivations_s: Sequence[Tensor], preactivations_t: Sequence[Tensor]) -> Tensor:
    """How far the student is on the wrong side of the margin, squared; batch mean.

    Args:
        preactivations_s: connected student maps before the activation, (B, C, H, W) each.
        preactivations_t: teacher maps of the same shapes, without gradient. Each stage counts half
            as much as the one behind it.
    """
    loss = preactivations_s[0].new_zeros(())
    for map_s, map_t in zip(preactivations_s, preactivations_t, strict=True):
        towards = torch.where(map_t > 0, -map_s, map_s)
        loss = loss / 2 + (towards + MARGIN).clamp(min=0).square().sum() / len(map_s)
    return SCALE * loss
