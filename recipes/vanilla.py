"""A network trained alone, from the labels: the baseline, and how teachers are made.

    L = CE(p, y)

CE is the batch mean of −log p[y].
"""

from __future__ import annotations

import torch.nn.functional as F

from benchmark import Batch, Outputs, Pair, Recipe, Role, Terms, register


@register("vanilla", family="alone")
class Vanilla(Recipe):
    def roles(self, pair: Pair) -> dict[str, Role]:
        return {}

    def forward(self, batch: Batch, student: Outputs, teacher: None) -> Terms:
        return {"ce": F.cross_entropy(student.logits, batch.labels)}
