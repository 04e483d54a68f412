"""Decoupled KD: the target's probability and the others' among themselves, each with its weight.

    L = γ · CE(p_s, y) + min(t / warmup, 1) · T² · (α · KL(b_t ‖ b_s) + β · KL(q_t ‖ q_s))

b = (p[y], 1 − p[y]) and q = p without y, renormalised; p are softened by T. t is the share of the
training that is done; 20 of 240 epochs are the warm-up. standardise is logit standardisation
(ls_kd.py), published as dkd[standardise=true,alpha=9,beta=72,temperature=2].

Zhao et al., "Decoupled Knowledge Distillation", arXiv:2203.08679; β was tuned per pair: 2 for
resnet56→20 and 110→32, 6 for vgg13→vgg8, vgg13→MobileNetV2 and pairs of two WRNs, else 8.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from benchmark import Batch, Outputs, Terms, register

from ._logits import compared
from ._warmup import warmed_up
from ._with_kd import WithKD
from .kd import kd_loss


@register("dkd", family="logits", paper="arXiv:2203.08679")
class DecoupledKD(WithKD):
    alpha: float = 1.0  # of the target class
    beta: float = 8.0  # of the other classes
    warmup: Annotated[float, Field(ge=0, le=1)] = 1 / 12
    standardise: bool = False

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        logits = compared(student, teacher, standardise=self.standardise)
        dkd = dkd_loss(*logits, batch.classes, self.alpha, self.beta, self.temperature)
        return {"dkd": warmed_up(batch.progress, self.warmup) * dkd}


def dkd_loss(
    logits_s: Tensor,
    logits_t: Tensor,
    labels: Tensor,
    alpha: float,
    beta: float,
    temperature: float,
) -> Tensor:
    """Both divergences, weighted, batch mean times T².

    Args:
        logits_s: student logits, (B, K).
        logits_t: teacher logits, (B, K), without gradient.
        labels: (B,) int64.
        alpha: of the target class against all others.
        beta: of the other classes among themselves.
        temperature: T.
    """
    target_s, others_s = decoupled(logits_s / temperature, labels)
    target_t, others_t = decoupled(logits_t / temperature, labels)
    target, others = kd_loss(target_s, target_t, 1.0), kd_loss(others_s, others_t, 1.0)
    return (alpha * target + beta * others) * temperature**2


def decoupled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, 2) of target or not, and (B, K − 1) of the others among themselves."""
    target = labels[:, None]
    columns = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, columns + (columns >= target))
    pair = torch.cat([logits.gather(1, target), others.logsumexp(dim=1, keepdim=True)], dim=1)
    return pair, others
