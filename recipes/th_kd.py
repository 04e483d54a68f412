"""Teacher-head distillation: the teacher's frozen classifier reads the student's embedding.

Published code, with p_h the teacher's classifier on the student's embedding:

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · T² · KL(p_t^T ‖ p_h^T)

The paper's form weighs the losses of both heads, and mixes their probabilities in the prediction:

    L = γ · CE' + α · T² · H'
    CE' = (1 − a) · CE(p_s, y) + a · CE(p_h, y)
    H' = (1 − a) · KL(p_t^T ‖ p_s^T) + a · KL(p_t^T ‖ p_h^T)
    prediction (1 − a) · p_s + a · p_h

It is known from notes that quote the paper's equations 1 and 2; the paper's own text could not be
read. The notes write H for the distillation loss of a head: here it is the divergence of kd.py,
softened by T and times T², as in the published form. It differs from the cross entropy between the
softened probabilities by the teacher's entropy alone, and has the same gradient.

Either may add CRD. The published combination is th-kd[ce_weight=0.9,kd_weight=1,crd_weight=0.8].
Where the widths differ, a linear projector trained with the student stands before the frozen
classifier; the paper has no such case.

Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation through Classifier
Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import Batch, Context, FrozenHead, Outputs, Terms, register

from .crd import CRD
from .kd import kd_loss


@register("th-kd", family="head", paper="arXiv:2201.06945", needs={"embedding"})
class TeacherHeadKD(CRD):
    form: Literal["published", "paper"] = "published"
    kd_weight: float = 1.5  # α
    crd_weight: float = 0.0  # of the contrastive term
    head_weight: float = 0.02  # β, of the published form
    mixture: Annotated[float, Field(gt=0, lt=1)] = 0.5  # a, of the paper's form

    def build(self, context: Context) -> None:
        super().build(context)
        classifier = context.roles["teacher"].classifier
        self.head = FrozenHead(classifier, context.student.embedding_dim)

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        contrast = self.method_terms(batch, student, teacher)
        if self.form == "paper":
            return {**self.mixture_terms(batch, student, teacher), **contrast}
        ce = F.cross_entropy(student.logits, batch.labels)
        kd = kd_loss(student.logits, teacher.logits, self.temperature)
        head = teacher_head_loss(
            self.head.projector(student.embedding),
            teacher.embedding,
            self.head.classifier.weight,
            self.head.classifier.bias,
            self.temperature,
        )
        return {
            "ce": self.ce_weight * ce,
            "kd": self.kd_weight * kd,
            "head": self.head_weight * head,
            **contrast,
        }

    def mixture_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        """Cross entropy and KL of the paper's form: those of both heads, weighted."""
        own, head = student.logits, self.head(student.embedding)
        ce = self.mean(*(F.cross_entropy(logits, batch.labels) for logits in (own, head)))
        kd = self.mean(*(kd_loss(z, teacher.logits, self.temperature) for z in (own, head)))
        return {"ce": self.ce_weight * ce, "kd": self.kd_weight * kd}

    def mean(self, own: Tensor, head: Tensor) -> Tensor:
        """(1 − a) · the own head's value + a · the teacher's head's."""
        return (1 - self.mixture) * own + self.mixture * head

    def predict(self, student: Outputs) -> Tensor:
        if self.form == "published":
            return student.logits
        return mix_heads(student.logits, self.head(student.embedding), self.mixture)

    def deployed(self) -> Iterable[nn.Module]:
        return () if self.form == "published" else (self.head,)


def teacher_head_loss(
    embed_s: Tensor,
    embed_t: Tensor,
    head_weight: Tensor,
    head_bias: Tensor | None,
    temperature: float,
) -> Tensor:
    """KL × T² between the teacher's classifier on the teacher's and on the student's embedding.

    Args:
        embed_s: student embeddings of the teacher's width, (B, D).
        embed_t: teacher embeddings, (B, D), without gradient.
        head_weight: (K, D), frozen.
        head_bias: (K,), frozen.
        temperature: T.
    """
    logits_h = F.linear(embed_s, head_weight, head_bias)
    logits_t = F.linear(embed_t, head_weight, head_bias)
    return kd_loss(logits_h, logits_t, temperature)


def mix_heads(logits_s: Tensor, logits_h: Tensor, share: float) -> Tensor:
    """log((1 − a) · softmax(logits_s) + a · softmax(logits_h)), without leaving log space.

    Args:
        logits_s: the student's own logits, (B, K).
        logits_h: logits of the teacher's classifier on the student's embedding, (B, K).
        share: a, between 0 and 1.
    """
    own = F.log_softmax(logits_s, dim=1) + math.log1p(-share)
    head = F.log_softmax(logits_h, dim=1) + math.log(share)
    return torch.logaddexp(own, head)
