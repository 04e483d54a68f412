"""Squared error of the class probabilities, in the place of KD's divergence.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean (p_s − p_t)²

Compared in Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation through
Classifier Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from benchmark import Batch, Outputs, Terms, register

from ._with_kd import WithKD
from .kd import probability_mse


@register("kdmse", family="logits", paper="arXiv:2201.06945")
class ProbabilityMSE(WithKD):
    mse_weight: float = 1.0

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        return {"mse": self.mse_weight * probability_mse(student.logits, teacher.logits)}
