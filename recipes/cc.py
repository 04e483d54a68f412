"""Correlation congruence: neighbours in the batch differ for the student as for the teacher.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean_i Σ_d d_i · d_{i+1}
    d_i = | W_s e_s,i − W_t e_t,i |

W_s and W_t are trained linear embeddings of the two networks' features into a common space. This
is the form of the benchmark of arXiv:1910.10699, whose weight is used.

Peng et al., "Correlation Congruence for Knowledge Distillation", arXiv:1904.01802.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Terms, register

from ._with_kd import WithKD


@register("cc", family="relations", paper="arXiv:1904.01802", needs={"embedding"})
class CorrelationCongruence(WithKD):
    cc_weight: float = 0.02  # β
    feature_dim: Annotated[int, Field(ge=1)] = 128

    def build(self, context: Context) -> None:
        self.student_embed = nn.Linear(context.student.embedding_dim, self.feature_dim)
        self.teacher_embed = nn.Linear(context.teacher.embedding_dim, self.feature_dim)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        embed_s = self.student_embed(student.embedding)
        embed_t = self.teacher_embed(teacher.embedding)
        return {"cc": self.cc_weight * correlation_loss(embed_s, embed_t)}


def correlation_loss(embed_s: Tensor, embed_t: Tensor) -> Tensor:
    """Mean product of the differences of neighbouring images; 0 for one image, which has none.

    Args:
        embed_s: embedded student features, (B, D).
        embed_t: embedded teacher features, (B, D).
    """
    differences = (embed_s - embed_t).abs()
    products = differences[:-1] * differences[1:]
    return products.sum() / max(len(products), 1)
