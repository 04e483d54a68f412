"""Curriculum temperature: KD's temperature makes itself hard for the student, little by little.

    min over the student, max over θ:  L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
    T = T_0 + R · sigmoid(θ)

θ is trained with the student by the reversed gradient of the loss, times λ. λ grows from 0 to 1 as
a half cosine over the first part of the training, 10 of 240 epochs, and stays. With
standardise=true the divergence compares standardised logits (ls_kd.py).

Li et al., "Curriculum Temperature for Knowledge Distillation", arXiv:2211.16231, with one
temperature for all images.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Recipe, Terms, register

from ._logits import compared
from ._warmup import warmed_up
from .kd import kd_loss


@register("ctkd", family="logits", paper="arXiv:2211.16231")
class CurriculumTemperature(Recipe):
    ce_weight: float = 0.1  # γ
    kd_weight: float = 0.9  # α
    lowest_temperature: PositiveFloat = 1.0  # T_0
    temperature_range: PositiveFloat = 20.0  # R
    rise: Annotated[float, Field(ge=0, le=1)] = 1 / 24  # of the training, until λ is 1
    standardise: bool = False

    def build(self, context: Context) -> None:
        self.theta = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        logits = compared(student, teacher, standardise=self.standardise)
        strength = (1 - math.cos(math.pi * warmed_up(batch.progress, self.rise))) / 2
        share = reversed_gradient(self.theta, strength).sigmoid()
        temperature = self.lowest_temperature + self.temperature_range * share
        return {
            "ce": self.ce_weight * F.cross_entropy(student.logits, batch.labels),
            "kd": self.kd_weight * kd_loss(*logits, temperature),
        }


def reversed_gradient(value: Tensor, strength: float) -> Tensor:
    """The value itself, with its gradient times −strength."""
    return value.detach() - strength * (value - value.detach())
