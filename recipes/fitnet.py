"""Hints: a middle map of the student is regressed to the teacher's.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean (r(F_s) − F_t)²

F are the maps of one stage. The regressor r is a trained convolution to the shape of the teacher's
map, with batch normalisation and ReLU.

Romero et al., "FitNets: Hints for Thin Deep Nets", arXiv:1412.6550; trained in one stage and with
the weight of arXiv:1910.10699.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Terms, register

from ._layers import BatchNorm
from ._with_kd import WithKD


@register("fitnet", family="features", paper="arXiv:1412.6550", needs={"maps"})
class FitNet(WithKD):
    fitnet_weight: float = 100.0  # β
    hint_stage: Annotated[int, Field(ge=0)] = 2  # 0 is the stem

    def refuse(self, context: Context) -> str | None:
        stages = min(len(context.student.stage_shapes), len(context.teacher.stage_shapes))
        if self.hint_stage >= stages:
            return f"hint_stage is {self.hint_stage}, and the last common stage is {stages - 1}"
        return None

    def build(self, context: Context) -> None:
        shape_s = context.student.stage_shapes[self.hint_stage]
        shape_t = context.teacher.stage_shapes[self.hint_stage]
        self.regressor = regressor(shape_s, shape_t)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        hint = self.regressor(student.maps[self.hint_stage])
        return {"fitnet": self.fitnet_weight * hint_loss(hint, teacher.maps[self.hint_stage])}


def hint_loss(map_s: Tensor, map_t: Tensor) -> Tensor:
    """Mean squared difference.

    Args:
        map_s: regressed student map, (B, C, H, W).
        map_t: teacher map of the same shape, without gradient.
    """
    return F.mse_loss(map_s, map_t)


def regressor(shape_s: tuple[int, int, int], shape_t: tuple[int, int, int]) -> nn.Sequential:
    """A convolution from one shape (C, H, W) to another, transposed if the map must grow."""
    (inputs, *size_s), (outputs, *size_t) = shape_s, shape_t
    grows = size_t[0] > size_s[0]
    small, large = (size_s, size_t) if grows else (size_t, size_s)
    kernel, stride, padding = zip(*map(fit, small, large, [grows] * 2), strict=True)
    convolution = nn.ConvTranspose2d if grows else nn.Conv2d
    layer = convolution(inputs, outputs, kernel, stride, padding)
    return nn.Sequential(layer, BatchNorm(outputs), nn.ReLU())


def fit(small: int, large: int, grows: bool) -> tuple[int, int, int]:
    """Kernel, stride and padding between two sizes.

    1 for equal ones; 3 with stride 2 for half, 4 with stride 2 for the double, and likewise for
    other whole ratios; else the kernel is as large as the sizes differ.
    """
    ratio, rest = divmod(large, small)
    if rest or ratio == 1:
        return 1 + large - small, 1, 0
    return (ratio + 2 if grows else 3), ratio, 1
