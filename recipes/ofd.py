"""Overhauled features: before the activation, only what the teacher's activation lets through.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β / B · Σ_l 2^{l−n} · ‖ d^l ‖²
    d^l = r^l(F_s^l) − max(F_t^l, m^l), and 0 where both r^l(F_s^l) and the maximum say "inactive":
        r^l(F_s^l) ≤ max(F_t^l, m^l) ≤ 0

F are maps before the activation, r^l is a trained 1×1 convolution with batch normalisation, n the
number of stages. The margin m^l is a channel's mean negative response. It is measured on the
training images seen so far, one of the two ways that the paper gives; the published code takes it
from the teacher's normalisation. The larger map is averaged to the size of the smaller. Networks of
timm do not show what stands before an activation; what stands behind it takes its place.

Heo et al., "A Comprehensive Overhaul of Feature Distillation", arXiv:1904.01866.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Terms, gather, register

from ._layers import conv_bn
from ._maps import stage_pairs, to_smaller
from ._with_kd import WithKD


@register("ofd", family="features", paper="arXiv:1904.01866", needs={"maps"})
class OverhauledFeatures(WithKD):
    ofd_weight: float = 0.001  # β

    def build(self, context: Context) -> None:
        pairs = stage_pairs(context.student.stages, context.teacher.stages)
        self.connectors = nn.ModuleList(conv_bn(s[0], t[0]) for s, t in pairs)
        self.margins = nn.ModuleList(Margin(t[0]) for _, t in pairs)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stage_preactivations, teacher.stage_preactivations)
        loss = torch.zeros((), device=batch.labels.device)
        for connector, margin, (map_s, map_t) in zip(
            self.connectors, self.margins, pairs, strict=True
        ):
            map_s, map_t = to_smaller(map_s, map_t)
            loss = loss / 2 + partial_l2(connector(map_s), map_t, margin(map_t))
        return {"ofd": self.ofd_weight * loss}


class Margin(nn.Module):
    """Mean negative response of every channel of the teacher, over all batches so far.

    Args:
        channels: of the teacher's map.

    Attributes:
        total: sum of the negative responses, (channels,).
        count: their number.
    """

    total: Tensor
    count: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(channels, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(channels, dtype=torch.float64))

    def forward(self, map_t: Tensor) -> Tensor:
        """Take a map (B, C, H, W) into account; the margins, (C, 1, 1), 0 without a response."""
        seen = torch.stack([map_t.clamp(max=0).sum((0, 2, 3)), (map_t < 0).sum((0, 2, 3))])
        total, count = gather(seen[None]).sum(dim=0)
        self.total += total
        self.count += count
        return (self.total / self.count.clamp(min=1)).to(map_t.dtype)[:, None, None]


def partial_l2(map_s: Tensor, map_t: Tensor, margin: Tensor) -> Tensor:
    """Squared differences but where both sides are inactive, summed over a map, batch mean.

    Args:
        map_s: connected student map before the activation, (B, C, H, W).
        map_t: teacher map of the same shape, without gradient.
        margin: what a channel's values below it are raised to, (C, 1, 1) or (1, C, 1, 1).
    """
    target = map_t.maximum(margin)
    active = (map_s > target) | (target > 0)
    return ((map_s - target).square() * active).sum() / len(map_s)
