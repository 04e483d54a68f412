"""DIST: probabilities are correlated with the teacher's, not equal to them.

    L = γ · CE(p_s, y) + T² · (β_inter · (1 − mean_i ρ(p_s,i: , p_t,i:))
        + β_intra · (1 − mean_k ρ(p_s,:k , p_t,:k)))

ρ is Pearson's correlation, over the classes of an image and over the images for a class; p are
softened by T. With standardise=true these terms compare logits that were brought to mean 0 and
deviation 1 for every image (ls_kd.py).

Huang et al., "Knowledge Distillation from A Stronger Teacher", arXiv:2205.10536.
"""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from benchmark import Batch, Later, Outputs, Terms, register

from ._logits import compared
from ._with_kd import WithKD

EPS = 1e-8


@register("dist", family="logits", paper="arXiv:2205.10536")
class Dist(WithKD):
    inter_weight: float = 2.0  # β_inter
    intra_weight: float = 2.0  # β_intra
    standardise: Annotated[bool, Later] = False

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        logits = compared(student, teacher, standardise=self.standardise)
        soft_s, soft_t = (z / self.temperature for z in logits)
        dist = dist_loss(soft_s, soft_t, self.inter_weight, self.intra_weight)
        return {"dist": self.temperature**2 * dist}


def dist_loss(logits_s: Tensor, logits_t: Tensor, beta: float, gamma: float) -> Tensor:
    """What is missing to full correlation of the probabilities.

    Args:
        logits_s: student logits, (B, K).
        logits_t: teacher logits, (B, K), without gradient.
        beta: of the classes of an image.
        gamma: of the images for a class; a batch of one image adds its whole weight.
    """
    p_s, p_t = logits_s.softmax(dim=1), logits_t.softmax(dim=1)
    return beta * (1 - correlation(p_s, p_t)) + gamma * (1 - correlation(p_s.T, p_t.T))


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Mean Pearson correlation of the rows of two matrices."""
    one = one - one.mean(dim=1, keepdim=True)
    other = other - other.mean(dim=1, keepdim=True)
    cosine: Tensor = (one * other).sum(dim=1) / (one.norm(dim=1) * other.norm(dim=1) + EPS)
    return cosine.mean()
