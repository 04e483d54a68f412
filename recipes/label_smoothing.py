"""Label smoothing: training alone from labels that leave a little to every class.

    L = − Σ_k q_k · log p_k,    q = (1 − ε) · onehot(y) + ε / K

A control without a teacher.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field

from benchmark import Batch, Outputs, Terms, register

from .vanilla import Vanilla


@register("label-smoothing", family="alone", paper="arXiv:1512.00567")
class LabelSmoothing(Vanilla):
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1  # ε

    def forward(self, batch: Batch, student: Outputs, teacher: None) -> Terms:
        ce = F.cross_entropy(student.logits, batch.labels, label_smoothing=self.smoothing)
        return {"ce": ce}
