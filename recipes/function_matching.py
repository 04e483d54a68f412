"""Function matching: the student says what the teacher says of images between images, no labels.

    L = T² · KL(p_t^T ‖ p_s^T)  on  x̃_i = λ · x_i + (1 − λ) · x_{i−1},    λ uniform in [½, 1]

Student and teacher see the same crop, mixed with its neighbour in the batch, by a share that is
drawn for each step. The labels play no part. Published are T = 1 and very long trainings: 1,200
epochs on ImageNet in batches of 4,096, with Adam at 0.03, weight decay 3e-4 and the gradient's norm
clipped at 1. A short protocol therefore measures something else than the paper does.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", arXiv:2106.05237.
"""

from __future__ import annotations

import random
from dataclasses import replace

from pydantic import PositiveFloat
from torch import Tensor

from benchmark import Batch, Outputs, Recipe, Terms, register, shared

from .kd import kd_loss


@register("function-matching", family="logits", paper="arXiv:2106.05237")
class FunctionMatching(Recipe):
    temperature: PositiveFloat = 1.0  # T

    def view(self, batch: Batch) -> Batch:
        share = random.Random(batch.draw).uniform(0.5, 1)  # λ
        return shared(
            batch, "function-matching", lambda: replace(batch, images=mixed(batch.images, share))
        )

    def forward(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        return {"kd": kd_loss(student.logits, teacher.logits, self.temperature)}


def mixed(images: Tensor, share: float) -> Tensor:
    """Every image at its share, and the one before it in the batch at the rest.

    Args:
        images: (B, 3, H, W).
        share: λ, of the image itself.
    """
    return share * images + (1 - share) * images.roll(1, dims=0)
