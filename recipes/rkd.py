"""Relational distillation: distances and angles between images are the teacher's.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
        + β · (25 · mean_ij H(d_s,ij − d_t,ij) + 50 · mean_ijk H(a_s,ijk − a_t,ijk))
    d_ij = ‖e_i − e_j‖ / its mean,    a_ijk = cos ∠(e_j − e_i, e_k − e_i)

H is the Huber function.

Park et al., "Relational Knowledge Distillation", arXiv:1904.05068; weights as in arXiv:1910.10699.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._with_kd import WithKD


@register("rkd", family="relations", paper="arXiv:1904.05068", needs={"embedding"})
class RelationalKD(WithKD):
    rkd_weight: float = 1.0  # β
    distance_weight: float = 25.0  # of the distances
    angle_weight: float = 50.0  # of the angles

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        loss = relational_loss(
            student.embedding, teacher.embedding, self.distance_weight, self.angle_weight
        )
        return {"rkd": self.rkd_weight * loss}


def relational_loss(
    embed_s: Tensor, embed_t: Tensor, distance_weight: float = 25, angle_weight: float = 50
) -> Tensor:
    """Huber loss of distances and of angles; 0 for one image, which has neither.

    Args:
        embed_s: student embeddings, (B, D).
        embed_t: teacher embeddings, (B, D'), without gradient.
        distance_weight: of the pairs' distances.
        angle_weight: of the triples' angles.
    """
    distances_s, angles_s = relations(embed_s)
    distances_t, angles_t = relations(embed_t)
    distance = F.smooth_l1_loss(distances_s, distances_t)
    angle = F.smooth_l1_loss(angles_s, angles_t)
    return distance_weight * distance + angle_weight * angle


def relations(embed: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (B, B) in units of their mean, cosines (B, B, B) of the angles at each image."""
    ways = embed[None] - embed[:, None]
    distances = ways.norm(dim=2)
    # The mean over different images. Without any the distances are 0, and so is what is returned.
    mean = distances.sum() / max(len(embed) * (len(embed) - 1), 1)
    directions = F.normalize(ways, dim=2)
    return distances / mean.clamp(min=1e-12), directions @ directions.transpose(1, 2)
