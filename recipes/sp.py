"""Similarity preserving: images that are alike for the teacher are alike for the student.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β / B² · ‖ G_s − G_t ‖²
    G = rows of F·Fᵀ, each of unit length

F is the last stage's map of all images of the batch, (B, C·H·W).

Tung, Mori, "Similarity-Preserving Knowledge Distillation", arXiv:1907.09682; weight as in
arXiv:1910.10699.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._with_kd import WithKD


@register("sp", family="relations", paper="arXiv:1907.09682", needs={"maps"})
class SimilarityPreserving(WithKD):
    sp_weight: float = 3000.0  # β

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        return {"sp": self.sp_weight * similarity_loss(student.maps[-1], teacher.maps[-1])}


def similarity_loss(map_s: Tensor, map_t: Tensor) -> Tensor:
    """Mean squared difference of the similarities between all images of the batch.

    Args:
        map_s: student map, (B, C, H, W).
        map_t: teacher map; only B must be the same.
    """
    return F.mse_loss(similarities(map_s), similarities(map_t))


def similarities(image: Tensor) -> Tensor:
    """Inner products of all images' maps, (B, B), in rows of unit length."""
    flat = image.flatten(1)
    return F.normalize(flat @ flat.T, dim=1)
