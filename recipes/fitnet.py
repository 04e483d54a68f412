"""Hints: a middle map of the student is regressed to the teacher's.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean (r(F_s) − F_t)²

F are the maps of one stage. The regressor r is a trained convolution to the shape of the teacher's
map, with batch normalisation and ReLU. The ReLU is left out where the teacher's map may be negative
(wide ResNets, MobileNetV2, most networks of timm), which it could not reach; the code of
arXiv:1910.10699 keeps it there too.

Romero et al., "FitNets: Hints for Thin Deep Nets", arXiv:1412.6550; trained in one stage and with
the weight of arXiv:1910.10699.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Proposal, Terms, register

from ._layers import BatchNorm, last_activation
from ._maps import Shape, stage_numbers
from ._with_kd import WithKD


@register("fitnet", family="features", paper="arXiv:1412.6550", needs={"maps"})
class FitNet(WithKD):
    fitnet_weight: float = 100.0  # β
    hint_stage: Annotated[int, Field(ge=0)] = 2  # 0 is the stem

    def refuse(self, proposal: Proposal) -> str | None:
        student, teacher = proposal.student, proposal.teacher
        last = len(stage_numbers(student, teacher))
        if self.hint_stage > last:
            return f"hint_stage is {self.hint_stage}, and the last common stage is {last}"
        if self.hint_stage == 0 and not (student.has_stem and teacher.has_stem):
            return "hint_stage is 0, and one of the networks does not show its stem"
        return None

    def build(self, context: Context) -> None:
        student, teacher = context.student, context.teacher
        pairs = [(0, 0), *stage_numbers(student, teacher)]
        self.map_s, self.map_t = pairs[self.hint_stage]
        shapes = student.stage_shapes[self.map_s], teacher.stage_shapes[self.map_t]
        self.regressor = regressor(*shapes, signed=teacher.is_signed(self.map_t))

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        hint = self.regressor(student.maps[self.map_s])
        return {"fitnet": self.fitnet_weight * hint_loss(hint, teacher.maps[self.map_t])}


def hint_loss(map_s: Tensor, map_t: Tensor) -> Tensor:
    """Mean squared difference.

    Args:
        map_s: regressed student map, (B, C, H, W).
        map_t: teacher map of the same shape, without gradient.
    """
    return F.mse_loss(map_s, map_t)


def regressor(shape_s: Shape, shape_t: Shape, *, signed: bool) -> nn.Sequential:
    """A convolution from one shape (C, H, W) to another, transposed if the map must grow.

    Args:
        shape_s: of the student's map.
        shape_t: of the teacher's map.
        signed: whether the teacher's map may be negative, so that no ReLU may stand at the end.
    """
    (inputs, *size_s), (outputs, *size_t) = shape_s, shape_t
    grows = size_t[0] > size_s[0]
    small, large = (size_s, size_t) if grows else (size_t, size_s)
    kernel, stride, padding = zip(*map(fit, small, large, [grows] * 2), strict=True)
    convolution = nn.ConvTranspose2d if grows else nn.Conv2d
    layer = convolution(inputs, outputs, kernel, stride, padding)
    return nn.Sequential(layer, BatchNorm(outputs), *last_activation(signed=signed))


def fit(small: int, large: int, grows: bool) -> tuple[int, int, int]:
    """Kernel, stride and padding between two sizes.

    1 for equal ones; 3 with stride 2 for half, 4 with stride 2 for the double, and likewise for
    other whole ratios; else the kernel is as large as the sizes differ.
    """
    ratio, rest = divmod(large, small)
    if rest or ratio == 1:
        return 1 + large - small, 1, 0
    return (ratio + 2 if grows else 3), ratio, 1
