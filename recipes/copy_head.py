"""A student with the teacher's classifier: shared and frozen, or only to start from.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T),    p_s = softmax(W_t · e_s + b_t)

W_t and b_t stay as they are, or are trained further with classifier=start. Where the widths differ,
a linear projector trained with the student stands before them; the paper has no such case.

A baseline of Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation
through Classifier Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from benchmark import Batch, Network, Outputs, SharedHead, Terms, register

from ._with_kd import WithKD


@register("copy-head", family="head", paper="arXiv:2201.06945")
class CopyHead(WithKD):
    classifier: Literal["frozen", "start"] = "frozen"

    def adapt(self, network: Network, roles: Mapping[str, Network]) -> Network:
        shared = SharedHead(network, roles["teacher"].classifier)
        shared.classifier.requires_grad_(self.classifier == "start")
        return shared

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        return {}
