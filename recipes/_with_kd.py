"""What most methods share: cross entropy, the method's own terms, and KD where it is asked for."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from pydantic import PositiveFloat

from benchmark import Batch, Outputs, Recipe, Terms

from .kd import kd_loss


class WithKD(Recipe):
    """L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + the method's terms; kd_weight α is 0."""

    ce_weight: float = 1.0  # γ
    kd_weight: float = 0.0  # α
    temperature: PositiveFloat = 4.0  # T

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        terms = {"ce": self.ce_weight * F.cross_entropy(student.logits, batch.labels)}
        if self.kd_weight:
            kd = kd_loss(student.logits, teacher.logits, self.temperature)
            terms["kd"] = self.kd_weight * kd
        return {**terms, **self.method_terms(batch, student, teacher)}

    @abstractmethod
    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        """The method's weighted terms."""
