"""Student-head distillation: learn from the teacher that was trained on one's own classifier.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · CRD(s, t)

Three trainings: the student alone; the teacher on the student's frozen classifier (sh_teacher.py);
a new student from that teacher, with this loss.

Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation through Classifier
Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from benchmark import Pair, Role, register

from .crd import CRD


@register("sh-kd", family="head", paper="arXiv:2201.06945", needs={"embedding"})
class StudentHeadKD(CRD):
    kd_weight: float = 1.0  # α

    def roles(self, pair: Pair) -> dict[str, Role]:
        return {"teacher": Role(pair.teacher, "sh-teacher")}
