"""Knowledge distillation: the student matches the teacher's softened class probabilities.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)

p are the softmax of the logits, p^T of the logits over T. With standardise=true the divergence
compares logits that were brought to mean 0 and deviation 1 for every image (ls_kd.py).

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from benchmark import Batch, Later, Outputs, Recipe, Terms, register

from ._logits import compared


@register("kd", family="logits", paper="arXiv:1503.02531")
class KD(Recipe):
    temperature: PositiveFloat = 4.0  # T
    ce_weight: float = 0.1  # γ
    kd_weight: float = 0.9  # α
    standardise: Annotated[bool, Later] = False

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        logits = compared(student, teacher, standardise=self.standardise)
        return {
            "ce": self.ce_weight * F.cross_entropy(student.logits, batch.labels),
            "kd": self.kd_weight * kd_loss(*logits, self.temperature),
        }


def kd_loss(logits_s: Tensor, logits_t: Tensor, temperature: float | Tensor) -> Tensor:
    """Batch mean of KL(teacher ‖ student) at a temperature, times its square.

    Args:
        logits_s: student logits, (B, K).
        logits_t: teacher logits, (B, K), without gradient.
        temperature: softens both; the square keeps the gradient's scale.
    """
    log_s = F.log_softmax(logits_s / temperature, dim=1)
    log_t = F.log_softmax(logits_t / temperature, dim=1)
    return F.kl_div(log_s, log_t, reduction="batchmean", log_target=True) * temperature**2


def probability_mse(logits_s: Tensor, logits_t: Tensor) -> Tensor:
    """Mean squared error of the class probabilities, over batch and classes.

    Args:
        logits_s: student logits, (B, K).
        logits_t: teacher logits, (B, K), without gradient.
    """
    return F.mse_loss(logits_s.softmax(dim=1), logits_t.softmax(dim=1))
