"""Logit standardisation: KD on logits of mean 0 and deviation 1, whatever their scale.

    L = γ · CE(p_s, y) + α · T² · KL(softmax(Z(z_t) / T) ‖ softmax(Z(z_s) / T))
    Z(z) = (z − mean z) / std z

The same as kd[standardise=true,temperature=2,kd_weight=9], under the name and with the settings of
its paper.

Sun et al., "Logit Standardization in Knowledge Distillation", arXiv:2403.01427.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from benchmark import Batch, Outputs, Recipe, Terms, register

from ._logits import standardised
from .kd import kd_loss


@register("ls-kd", family="logits", paper="arXiv:2403.01427")
class StandardisedKD(Recipe):
    temperature: PositiveFloat = 2.0  # T
    ce_weight: float = 0.1  # γ
    kd_weight: float = 9.0  # α

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        kd = standardised_kd_loss(student.logits, teacher.logits, self.temperature)
        ce = F.cross_entropy(student.logits, batch.labels)
        return {"ce": self.ce_weight * ce, "kd": self.kd_weight * kd}


def standardised_kd_loss(logits_s: Tensor, logits_t: Tensor, temperature: float) -> Tensor:
    """KD's loss of the standardised logits (B, K)."""
    return kd_loss(standardised(logits_s), standardised(logits_t), temperature)
