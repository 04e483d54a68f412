"""Squared error of the class probabilities, in the place of KD's divergence.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · mean (p_s − p_t)²

The mean over batch and classes is small, about 0.01 for 100 classes at the beginning, and no weight
is published: 100 is our choice. standardise brings the logits of the last term to mean 0 and
deviation 1 first (ls_kd.py).

Compared in Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation through
Classifier Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from benchmark import Batch, Outputs, Terms, register

from ._logits import compared
from ._with_kd import WithKD
from .kd import probability_mse


@register("kdmse", family="logits", paper="arXiv:2201.06945", version=2)
class ProbabilityMSE(WithKD):
    mse_weight: float = 100.0  # β
    standardise: bool = False

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        logits = compared(student, teacher, standardise=self.standardise)
        return {"mse": self.mse_weight * probability_mse(*logits)}
