"""Self-distillation: the teacher is the student's own architecture, trained alone before.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)

The settings are those published for ResNet18 on CIFAR-100. There the divergence is averaged over
100 classes too, and α is 0.95 times 50: 0.475 = 0.95 · 50 / 100. A control without a larger
teacher; the pair's teacher is not used. The student starts from the weights that its teacher
started from, and sees the same images in the same order.

Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization",
arXiv:1909.11723, there Tf-KD_self.
"""

from __future__ import annotations

from pydantic import PositiveFloat

from benchmark import Pair, Role, register

from .kd import KD


@register("self-kd", family="logits", paper="arXiv:1909.11723")
class SelfKD(KD):
    temperature: PositiveFloat = 6.0  # T
    ce_weight: float = 0.05  # γ
    kd_weight: float = 0.475  # α

    def roles(self, pair: Pair) -> dict[str, Role]:
        return {"teacher": Role(pair.student)}
