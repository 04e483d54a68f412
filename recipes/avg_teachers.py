"""Several teachers: the student matches the mean of their softened class probabilities.

    L = γ · CE(p_s, y) + α · T² · KL(p̄ ‖ p_s^T),    p̄ = (p_1^T + … + p_M^T) / M

The teachers are independent draws of the pair's teacher, each trained alone; the first is the one
of every other method. The mean is that of the probabilities after softening, not of the logits.
The paper adds a term on triplets of images in the middle layers; it is not here. γ, α and T are
those of kd.py.

You, Xu, Xu, Tao, "Learning from Multiple Teacher Networks", KDD 2017.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from benchmark import Batch, Outputs, Pair, Recipe, Role, Terms, register

from .kd import kd_loss


@register("avg-teachers", family="logits", paper="KDD 2017")
class AveragedTeachers(Recipe):
    teachers: Annotated[int, Field(ge=2, le=5)] = 2  # M
    temperature: PositiveFloat = 4.0  # T
    ce_weight: float = 0.1  # γ
    kd_weight: float = 0.9  # α

    hears = ("teacher", "second", "third", "fourth", "fifth")

    def roles(self, pair: Pair) -> dict[str, Role]:
        roles = self.hears[: self.teachers]
        return {role: Role(pair.teacher, draw=draw) for draw, role in enumerate(roles)}

    def forward(self, batch: Batch, student: Outputs, teacher: Mapping[str, Outputs]) -> Terms:
        mean = mean_logits((heard.logits for heard in teacher.values()), self.temperature)
        ce = F.cross_entropy(student.logits, batch.labels)
        kd = kd_loss(student.logits, mean, self.temperature)
        return {"ce": self.ce_weight * ce, "kd": self.kd_weight * kd}


def mean_logits(logits: Iterable[Tensor], temperature: float) -> Tensor:
    """Logits (B, K) whose softened probabilities are the mean of those of several logits (B, K)."""
    log_p = torch.stack([F.log_softmax(each / temperature, dim=1) for each in logits])
    return temperature * (log_p.logsumexp(dim=0) - math.log(len(log_p)))
