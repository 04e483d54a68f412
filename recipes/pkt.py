"""Probabilistic knowledge transfer: each image's neighbours are as probable as for the teacher.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean_ij P_t,ij · log(P_t,ij / P_s,ij)
    P_ij = K_ij / Σ_k K_ik,    K_ij = (cos(e_i, e_j) + 1) / 2

Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer",
arXiv:1803.10837; weight as in arXiv:1910.10699.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._with_kd import WithKD

EPS = 1e-7


@register("pkt", family="relations", paper="arXiv:1803.10837", needs={"embedding"})
class ProbabilisticTransfer(WithKD):
    pkt_weight: float = 30000.0  # β

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        return {"pkt": self.pkt_weight * pkt_loss(student.embedding, teacher.embedding)}


def pkt_loss(embed_s: Tensor, embed_t: Tensor) -> Tensor:
    """Mean over all pairs of images of P_t · log(P_t / P_s).

    Args:
        embed_s: student embeddings, (B, D).
        embed_t: teacher embeddings, (B, D'), without gradient.
    """
    p_s, p_t = neighbours(embed_s), neighbours(embed_t)
    change = (p_s - p_t) / (p_t + EPS)
    # A row's changes of probability sum to 0. Added to its terms they leave the sum as it is, and
    # make each of them small, so that float32 loses nothing.
    return (p_t * (change - change.log1p())).mean()


def neighbours(embed: Tensor) -> Tensor:
    """Probabilities (B, B) of every image's neighbours, itself among them."""
    unit = F.normalize(embed, dim=1)
    kernel = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(dim=1, keepdim=True)
