"""Student-head distillation: learn from the teacher that was trained on one's own classifier.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · CRD(s, t)

Three trainings: the student alone; the teacher on the student's frozen classifier (sh_teacher.py);
a new student from that teacher, with this loss. The loss of the third is that of the released
README; the paper ends with a form of its own there.

The new student starts from the weights from which the student of the first training started, and
sees the same batches. In the published procedure the two are independent draws: independent=true
gives the first training a seed of its own.

Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation through Classifier
Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from typing import Annotated

from benchmark import Later, Pair, Role, register

from .crd import CRD


@register("sh-kd", family="head", paper="arXiv:2201.06945", needs={"embedding"})
class StudentHeadKD(CRD):
    kd_weight: float = 1.0  # α
    independent: Annotated[bool, Later] = False  # true: the classifier's donor has another seed

    def roles(self, pair: Pair) -> dict[str, Role]:
        donor = {"independent": True} if self.independent else {}
        return {"teacher": Role(pair.teacher, "sh-teacher", donor)}
