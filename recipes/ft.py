"""Factor transfer: the student's translation matches the teacher's paraphrase of its last map.

    first   L = mean (D(E(F_t)) − F_t)²
    then    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean | Q(R(F_s)) − Q(E(F_t)) |
    Q(F) = vec(A) / ‖vec(A)‖,    A = mean of F² over the channels

The paraphraser E with its decoder D learns to say the teacher's last map F_t in fewer channels, in
a first stage that leaves the student alone; then it rests. The translator R makes the same of the
student's last map. Factors are compared at the smaller height and width of the two. The first stage
takes first_stage · the protocol's epochs, which it adds to them.

Kim, Park, Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer",
arXiv:1802.04977; stages, widths and weights as in arXiv:1910.10699. Its first stage has the rate
0.01 for ResNets and WRNs, a fifth of the main one, which is taken for all students here; there the
others keep theirs (first_rate=1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from benchmark import Batch, Context, Network, Outputs, Terms, register

from ._first_stage import WithFirstStage
from ._layers import BatchNorm
from ._maps import to_smaller
from .at import attention

SLOPE = 0.1


@register("ft", family="features", paper="arXiv:1802.04977", needs={"maps"})
class FactorTransfer(WithFirstStage):
    ft_weight: float = 200.0  # β
    first_rate: PositiveFloat = 0.2  # of the protocol's learning rate
    factor_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # of the teacher's channels

    def build(self, context: Context) -> None:
        width_s, width_t = (
            shape.stage_shapes[-1][0] for shape in (context.student, context.teacher)
        )
        width = max(1, int(self.factor_share * width_t))
        self.paraphraser = convolutions(width_t, width_t, width, width)
        self.decoder = convolutions(width, width, width_t, width_t)
        self.translator = convolutions(width_s, width_s, width, width, normalised=True)

    def rest_first(self, student: Network) -> Sequence[nn.Module]:
        return [student, self.translator]

    def rest_later(self, student: Network) -> Sequence[nn.Module]:
        return [self.paraphraser, self.decoder]

    def first_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        target = teacher.maps[-1]
        return {"paraphrase": F.mse_loss(self.decoder(self.paraphraser(target)), target)}

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        with torch.no_grad():
            factor_t = self.paraphraser(teacher.maps[-1])
        return {"ft": self.ft_weight * factor_loss(self.translator(student.maps[-1]), factor_t)}


def convolutions(*widths: int, normalised: bool = False) -> nn.Sequential:
    """3×3 convolutions from each width to the next one, each with its activation.

    Args:
        widths: channels before, between and after the convolutions.
        normalised: whether batch normalisation stands before the activations.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
        layers += [BatchNorm(outputs)] if normalised else []
        layers.append(nn.LeakyReLU(SLOPE))
    return nn.Sequential(*layers)


def factor_loss(factor_s: Tensor, factor_t: Tensor) -> Tensor:
    """Mean absolute difference of where the factors have their energy.

    Args:
        factor_s: the student's, (B, C, H, W).
        factor_t: the teacher's, without gradient; channels, height and width may differ.
    """
    factor_s, factor_t = to_smaller(factor_s, factor_t)
    return F.l1_loss(attention(factor_s), attention(factor_t))
