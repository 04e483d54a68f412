"""KD on two augmented views of every image: what looking twice gives by itself.

    L = mean over both views of  γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)

A control for methods that look at each image twice in a step, at their cost: student and teacher
run on both views. Everything else is kd.py's.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531.
"""

from __future__ import annotations

from benchmark import Batch, register, stacked

from .kd import KD


@register("kd-2views", family="control", paper="arXiv:1503.02531")
class TwoViewKD(KD):
    views = 2

    def view(self, batch: Batch) -> Batch:
        return stacked(batch)
