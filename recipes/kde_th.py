"""Embedding distillation with the teacher's classifier as a second judge.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
        + β · (Σ ‖ e_s / ‖e_s‖ − e_t / ‖e_t‖ ‖² + δ · T² · KL(p_t^T ‖ p_h^T))

No weights are published: β is kde's, and β · δ is what th-kd gives its term. p_h is what the
teacher's frozen classifier says of the student's embedding. Where the widths differ, one linear
projector trained with the student stands before both terms.

A baseline of Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation
through Classifier Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from benchmark import Batch, Context, FrozenHead, Outputs, Terms, register

from ._with_kd import WithKD
from .kde import embedding_loss
from .th_kd import teacher_head_loss


@register("kde-th", family="head", paper="arXiv:2201.06945", version=2, needs={"embedding"})
class EmbeddingAndHeadKD(WithKD):
    kde_weight: float = 0.02  # β
    th_weight: float = 1.0  # δ

    def build(self, context: Context) -> None:
        classifier = context.roles["teacher"].classifier
        self.head = FrozenHead(classifier, context.student.embedding_dim)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        embed_s, embed_t = self.head.projector(student.embedding), teacher.embedding
        classifier = self.head.classifier
        head = teacher_head_loss(
            embed_s, embed_t, classifier.weight, classifier.bias, self.temperature
        )
        return {
            "kde": self.kde_weight * embedding_loss(embed_s, embed_t),
            "head": self.kde_weight * self.th_weight * head,
        }
