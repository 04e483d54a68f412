"""Variational information: the student's maps tell as much as possible about the teacher's.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
        + β · Σ_l mean ½ ((F_t^l − μ(F_s^l))² / σ² + log σ²)

A Gaussian with the mean μ, three 1×1 convolutions of the student's map, and a variance per channel
of the teacher stands for the teacher's map given the student's. The larger map is averaged to the
size of the smaller.

Ahn et al., "Variational Information Distillation for Knowledge Transfer", arXiv:1904.05835; weight
as in arXiv:1910.10699.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Terms, register

from ._maps import stage_pairs, to_smaller
from ._with_kd import WithKD

EPS = 1e-5
FIRST_VARIANCE = 5.0


@register("vid", family="features", paper="arXiv:1904.05835", needs={"maps"})
class VariationalInformation(WithKD):
    vid_weight: float = 1.0  # β

    def build(self, context: Context) -> None:
        pairs = stage_pairs(context.student.stages, context.teacher.stages)
        self.gaussians = nn.ModuleList(VariationalLoss(s[0], t[0]) for s, t in pairs)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stages, teacher.stages)
        losses = [loss_of(*pair) for loss_of, pair in zip(self.gaussians, pairs, strict=True)]
        return {"vid": self.vid_weight * torch.stack(losses).sum()}


class VariationalLoss(nn.Module):
    """Mean −log q(teacher map | student map) of one stage, up to a constant.

    Args:
        channels_s: channels of the student's map.
        channels_t: channels of the teacher's map.

    Attributes:
        mean: three 1×1 convolutions.
        log_scale: (channels_t,), the variance before softplus.
    """

    def __init__(self, channels_s: int, channels_t: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Conv2d(channels_s, channels_t, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels_t, channels_t, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels_t, channels_t, 1, bias=False),
        )
        inverse_softplus = math.log(math.expm1(FIRST_VARIANCE - EPS))
        self.log_scale = nn.Parameter(torch.full((channels_t,), inverse_softplus))

    def forward(self, map_s: Tensor, map_t: Tensor) -> Tensor:
        """The loss of a student map (B, channels_s, H, W) and a teacher map."""
        map_s, map_t = to_smaller(map_s, map_t)
        variance = F.softplus(self.log_scale)[:, None, None] + EPS
        error: Tensor = (self.mean(map_s) - map_t).square()
        return 0.5 * (error / variance + variance.log()).mean()
