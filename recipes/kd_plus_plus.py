"""KD++: the student's embedding points to the teacher's class mean, and is long enough.

    L = CE(p_s, y) + α · min(t / warmup, 1) · T² · KL(p_t^T ‖ p_s^T) + β · ND
    ND = mean (1 − s · e_y / max(‖s‖, ‖t‖)),    e_c = m_c / ‖m_c‖

s and t are the embeddings of student and teacher, m_c is the mean of the teacher's embeddings of
class c over the training set: the only part with a pass of its own. t / warmup is the share of the
warm-up that is done, 20 of 240 epochs; ND has none. Where the widths differ, batch normalisation,
dropout and a trained linear layer stand before ND, as in the authors' code. Two things are ours:
their pass crops and flips the images and rounds the means to four digits, this one takes the images
as they are. α and β were tuned per pair: these are those of resnet32x4→resnet8x4.

Wang et al., "Improving Knowledge Distillation via Regularizing Feature Norm and Direction",
arXiv:2305.17007.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Recipe, Terms, register

from ._layers import BatchNorm
from ._warmup import warmed_up
from .kd import kd_loss


@register("kd-plus-plus", family="features", paper="arXiv:2305.17007", needs={"embedding"})
class NormAndDirection(Recipe):
    temperature: PositiveFloat = 4.0  # T
    kd_weight: float = 3.5  # α
    nd_weight: float = 2.0  # β
    warmup: Annotated[float, Field(ge=0, le=1)] = 1 / 12
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    _class_means: Tensor

    def before(
        self, context: Context, passing: Iterator[tuple[Batch, Outputs]]
    ) -> Mapping[str, Tensor]:
        sums = torch.zeros(context.student.classes, context.teacher.embedding_dim)
        for batch, teacher in passing:
            sums.index_add_(0, batch.labels.cpu(), teacher.embedding.cpu())
        counts = context.labels.bincount(minlength=len(sums))
        return {"class_means": sums / counts.clamp(min=1)[:, None]}

    def build(self, context: Context) -> None:
        self.register_buffer("_class_means", context.known["class_means"])
        student, teacher = context.student.embedding_dim, context.teacher.embedding_dim
        self.projector: nn.Module = nn.Identity()
        if student != teacher:
            normalised = nn.Unflatten(1, (student, 1, 1)), BatchNorm(student), nn.Flatten()
            self.projector = nn.Sequential(
                *normalised, nn.Dropout(self.dropout), nn.Linear(student, teacher)
            )

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        embed_s = self.projector(student.embedding)
        nd = direction_norm_loss(embed_s, teacher.embedding, batch.classes, self._class_means)
        kd = kd_loss(student.logits, teacher.logits, self.temperature)
        return {
            "ce": F.cross_entropy(student.logits, batch.labels),
            "kd": self.kd_weight * warmed_up(batch.progress, self.warmup) * kd,
            "nd": self.nd_weight * nd,
        }


def direction_norm_loss(
    embed_s: Tensor, embed_t: Tensor, labels: Tensor, class_means: Tensor
) -> Tensor:
    """Batch mean of 1 − s · e_y / max(‖s‖, ‖t‖).

    Args:
        embed_s: student embeddings of the teacher's width, (B, D).
        embed_t: teacher embeddings, (B, D), without gradient.
        labels: (B,) int64.
        class_means: of the teacher's embeddings, (K, D).
    """
    direction = F.normalize(class_means, dim=1)[labels]
    longer = torch.maximum(embed_s.norm(dim=1), embed_t.norm(dim=1))
    return (1 - (embed_s * direction).sum(dim=1) / longer).mean()
