"""Mean teacher: the student agrees with the average of its own weights on another view.

    L = CE(p_s, y) + β · w(t) · mean (p_s − p_m)²,    w(t) = exp(−5 · (1 − min(t / rampup, 1))²)
    θ_m ← a · θ_m + (1 − a) · θ_s  after every step,    a = min(1 − 1 / (n + 1), decay)

p_m is what the average says of a second augmented view of the images; n counts the steps, t is the
share of the training that is done. A control without a trained teacher. β is that of the authors'
code for CIFAR-10. Two things are ours: the average uses averaged BatchNorm statistics, and the
student is evaluated, not its average (the protocol's `average` does that, for all methods alike).

Tarvainen, Valpola, "Mean teachers are better role models", arXiv:1703.01780.
"""

from __future__ import annotations

import copy
import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark import Batch, Context, Network, Outputs, Stage, Terms, register

from ._warmup import warmed_up
from .kd import probability_mse
from .vanilla import Vanilla


@register("mean-teacher", family="control", paper="arXiv:1703.01780")
class MeanTeacher(Vanilla):
    consistency_weight: float = 100.0  # β
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    rampup: Annotated[float, Field(ge=0, le=1)] = 0.1
    views = 2
    _steps: Tensor

    def build(self, context: Context) -> None:
        self.mean = copy.deepcopy(context.network).requires_grad_(False)
        self.register_buffer("_steps", torch.ones(()))

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("main", 1.0, self.forward, rests=lambda student: [self.mean]),)

    def forward(self, batch: Batch, student: Outputs, teacher: None) -> Terms:
        with torch.no_grad():
            mean = self.mean(batch.views[0]).float()
        ramp = math.exp(-5 * (1 - warmed_up(batch.progress, self.rampup)) ** 2)
        weighted = self.consistency_weight * ramp * probability_mse(student.logits, mean.logits)
        return {"ce": F.cross_entropy(student.logits, batch.labels), "consistency": weighted}

    def after_step(self, network: Network) -> None:
        self._steps += 1
        rate = (1 / self._steps).clamp(min=1 - self.decay)  # 1 − a
        values = network.state_dict()
        for name, mean in self.mean.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(values[name], rate)
