"""Class attention transfer: each class lights up the regions that it lights up in the teacher.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean (A(C_s) − A(C_t))²

C are the class maps, the classifier at every position before pooling, one for each class; A
averages them to resolution × resolution and, with normalise=true, divides each by its norm over the
positions. Networks whose embedding is more than a mean over positions have none, and are refused.
The published networks classify without a bias; here both keep theirs, so that β also weighs the
difference of the biases. β was tuned per pair in the published code: 15 for resnet32x4→resnet8x4,
4.5 for vgg13→vgg8, and with normalise=true up to 600.

Guo et al., "Class Attention Transfer Based Knowledge Distillation", arXiv:2304.12777.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._with_kd import WithKD


@register("cat-kd", family="features", paper="arXiv:2304.12777", needs={"class_maps"})
class ClassAttention(WithKD):
    cat_weight: float = 15.0  # β
    resolution: Annotated[int, Field(ge=1)] = 2  # of the averaged class maps
    normalise: bool = False

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        maps = student.class_maps, teacher.class_maps
        loss = class_map_loss(*maps, self.resolution, self.normalise)
        return {"cat": self.cat_weight * loss}


def class_map_loss(
    maps_s: Tensor, maps_t: Tensor, resolution: int, normalise: bool = False
) -> Tensor:
    """Mean squared difference of the averaged class maps.

    Args:
        maps_s: student class maps, (B, K, H, W).
        maps_t: teacher class maps, without gradient; height and width may differ.
        resolution: height and width of the averages.
        normalise: whether each average is divided by its norm over the positions.
    """
    average_s, average_t = (
        F.adaptive_avg_pool2d(maps, resolution).flatten(2) for maps in (maps_s, maps_t)
    )
    if normalise:
        average_s, average_t = F.normalize(average_s, dim=2), F.normalize(average_t, dim=2)
    return F.mse_loss(average_s, average_t)
