"""Embedding distillation: the student's embedding points where the teacher's does.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · Σ ‖ e_s / ‖e_s‖ − e_t / ‖e_t‖ ‖²

The sum runs over the batch, of 64 images as a rule. No weight is published; 0.02 is our choice.
Where the widths differ, a linear projector trained with the student stands before its embedding.

A baseline of Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation
through Classifier Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Terms, register

from ._with_kd import WithKD


@register("kde", family="features", paper="arXiv:2201.06945", version=2, needs={"embedding"})
class EmbeddingKD(WithKD):
    kde_weight: float = 0.02  # β

    def build(self, context: Context) -> None:
        widths = context.student.embedding_dim, context.teacher.embedding_dim
        self.projector = nn.Identity() if widths[0] == widths[1] else nn.Linear(*widths)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        embed_s = self.projector(student.embedding)
        return {"kde": self.kde_weight * embedding_loss(embed_s, teacher.embedding)}


def embedding_loss(embed_s: Tensor, embed_t: Tensor) -> Tensor:
    """Squared distance of the unit vectors, summed over the batch.

    Args:
        embed_s: student embeddings of the teacher's width, (B, D).
        embed_t: teacher embeddings, (B, D), without gradient.
    """
    return (F.normalize(embed_s, dim=1) - F.normalize(embed_t, dim=1)).square().sum()
